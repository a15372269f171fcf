// SPDX-License-Identifier: Apache-2.0
// Reasons why an interface takes no XDP program, in the words of its driver where it gives any.
#pragma once

#include <linux/types.h>

#include <string>

#include "runtime/config/part_config.h"
#include "runtime/result.h"

namespace trap {

struct AttachedXdp {
  std::string mode = "none"; // native, generic, offloaded, several
  __u32 program_id = 0;
};

// The XDP program at an interface; none if its index is 0.
AttachedXdp attached_xdp(unsigned index);

// The name of a BPF program as the kernel keeps it, cut to 15 characters; empty if it cannot be
// asked.
std::string bpf_program_name(__u32 id);

struct XdpAttempt {
  std::string interface;
  unsigned index = 0;
  XdpMode mode = XdpMode::native;
  int program_fd = -1;
  int error_number = 0; // positive
};

// One line that says what failed, why, and what to do. Asks the kernel once more, in a way that
// leaves nothing attached.
Error xdp_refusal(const XdpAttempt& attempt);

} // namespace trap
