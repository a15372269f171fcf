// SPDX-License-Identifier: Apache-2.0
// Another XDP program in the closed loop beside TRAP: docs/howto/beside.md tells how.
#pragma once

#include <string>
#include <vector>

#include "bench/comparison/responders.h"
#include "runtime/result.h"

namespace trap::bench {

struct Beside {
  std::string file;    // a BPF object
  std::string program; // in it, at XDP; its responder's name
  std::string
      prepare; // a shell command in the responder's host once the program is loaded, or empty
};

// "FILE:PROGRAM". An error says what is wrong with it.
Result<Beside> parse_beside(const std::string& text);

// Answers SYNs with SYN-ACKs, as every defence by cookies does. What it cannot do is skipped.
Responder responder_beside(const Beside& beside);

} // namespace trap::bench
