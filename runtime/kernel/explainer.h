// SPDX-License-Identifier: Apache-2.0
// The side of user space of dataplane/bpf/explain.bpf.h: a twin of a part's program upon its maps,
// asked what would become of a frame.
#pragma once

#include <functional>
#include <optional>

#include "dataplane/explained.h"
#include "runtime/packet/packet_text.h"
#include "runtime/result.h"

struct bpf_object;

namespace trap {

struct Explained {
  trap_verdict verdict = TRAP_PASS_OTHER;
  std::uint32_t slot = 0;
  std::optional<trap_socket> socket; // nothing: the stack was not asked
  Frame frame;                       // as the program left it
};

// Loads `twin`, opened and with `explaining` set, upon the maps of `live`, but for `scratch`: what
// one CPU notes of one packet. `load` is its skeleton's load function.
Result<void> load_twin(bpf_object* twin, const bpf_object* live, const std::function<int()>& load);

// Runs a program that explains, in the network namespace of this process.
Result<Explained> explain_frame(int program_fd, const Frame& frame);

// "a listener", "an established or closing connection", ...
const char* socket_text(trap_socket socket);

} // namespace trap
