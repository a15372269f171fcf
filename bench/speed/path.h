// SPDX-License-Identifier: Apache-2.0
// A path through one of the programs: the packet that takes it, and the verdict that shows that it
// did.
#pragma once

#include <string>
#include <vector>

#include "dataplane/verdict.h"
#include "tests/support/vectors.h"

namespace trap::bench {

struct Path {
  std::string name;
  std::string part;     // server, guard, client
  std::string program;  // in its object
  trap_verdict verdict; // TRAP_VERDICT_COUNT: packets that take it are not counted
  test::Json packet;    // as in tests/bpf/README.md
  test::Json before;    // map entries that the path needs
  bool trusts = false;  // guard: there are trusted prefixes, in which uninvited SYNs are looked up
};

std::vector<Path> paths();

} // namespace trap::bench
