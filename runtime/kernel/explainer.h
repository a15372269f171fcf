// SPDX-License-Identifier: Apache-2.0
// The user-space side of dataplane/bpf/explain.bpf.h: asks a part's twin program
// (Program::load_twin) what would become of a frame.
#pragma once

#include <optional>

#include "dataplane/explained.h"
#include "runtime/packet/packet_text.h"
#include "runtime/result.h"

namespace trap {

struct Explained {
  trap_verdict verdict = TRAP_PASS_OTHER;
  std::uint32_t slot = 0;
  std::optional<trap_socket> socket; // nothing: the stack was not asked
  Frame frame;                       // as the program left it
};

// Runs a program that explains, in the network namespace of this process.
Result<Explained> explain_frame(int program_fd, const Frame& frame);

// "a listener", "an established or closing connection", ...
const char* socket_text(trap_socket socket);

} // namespace trap
