// SPDX-License-Identifier: Apache-2.0
// Programs with a given number of members in their maps, and the packet whose path looks for one of
// them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/bpf/replay.h"
#include "dataplane/verdict.h"
#include "runtime/result.h"
#include "tests/bpf/harness/object.h"
#include "tests/support/test_constants.h"

namespace trap::bench {

struct Population {
  std::uint32_t size;
  std::uint32_t room_for; // members that the tables are made for, at least `size`
  int family;
  const test::TestConstants& constants;
};

struct Subject {
  std::string name; // "growth-services"
  std::string program;
  bool xdp;
  trap_verdict verdict;
  double limit_ns; // the most that a packet may take beyond one with a single member
  std::vector<std::uint32_t> sizes;
  std::function<test::Json(int family)> packet; // of the first member
  // A loaded program with that population, and the order that draws packets of its members. Both
  // throw as rigs do: see use_rigs.h.
  std::function<Result<std::unique_ptr<test::Object>>(const Population&)> load;
  std::function<trap_replay_order(const Population&)> order;
};

std::vector<Subject> subjects();

} // namespace trap::bench
