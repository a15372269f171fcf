// SPDX-License-Identifier: Apache-2.0
// A path to measure: its program, the packet that takes it, and the verdict that proves it did.
#pragma once

#include <string>
#include <vector>

#include "dataplane/verdict.h"
#include "tests/support/vectors.h"

namespace trap::bench {

struct Experiment {
  std::string name;
  std::string part;    // server, guard, client
  std::string program; // in its object
  trap_verdict verdict;
  test::Json packet; // as in tests/bpf/README.md
  test::Json before; // map entries that the path needs
  bool trusts =
      false; // guard: some prefixes are trusted, so that uninvited SYNs are looked up among them
};

std::vector<Experiment> experiments();

} // namespace trap::bench
