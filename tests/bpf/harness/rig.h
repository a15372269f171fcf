// SPDX-License-Identifier: Apache-2.0
// The differences between the three programs under test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bpf/harness/object.h"
#include "tests/support/test_constants.h"

namespace trap::test {

struct Rig {
  std::string part; // server, guard, client: folder of its fixtures
  // Loads the object; `small` shrinks the maps that programs fill, so that looking through them is
  // quick.
  std::function<std::unique_ptr<Object>(bool experimental, bool small)> load;
  // Fills the configuration maps as a daemon would.
  std::function<void(Object&, const World&)> configure;
  // Keys and clock, so that it is `moment` now.
  std::function<void(Object&, const World&, const Json& moment)> set_time;
  // Program for a fixture's "run"; the first one if it has none.
  std::vector<std::string> programs;
  // Sets the budgets and caps that a fixture's "rates" names, and takes the others away; only the
  // server has them.
  std::function<void(Object&, const Json& rates)> set_rates = nullptr;
  // The same program once more, upon the maps of the first, that explains packets.
  std::function<std::unique_ptr<Object>(bool experimental, const Object& live)> load_twin = nullptr;
};

const Rig& server_rig();
const Rig& guard_rig();
const Rig& client_rig();

// As the server's daemon does when it has seen all connections of the host: a missing bit in
// `connection_filter` means that there is none.
void trust_known(Object& object);

// The one of them that this executable tests.
const Rig& part_under_test();

// CLOCK_MONOTONIC_COARSE, which the programs read.
std::uint64_t coarse_ns();

// Loads an opened skeleton's object as the twin of `live`; throws if it cannot be.
void load_twin_of(const Object& live, bpf_object* twin, const std::function<int()>& load);

// Applies max_entries of 1024 to every LRU hash of an object that is not loaded yet.
void shrink_lru_maps(bpf_object* object);

} // namespace trap::test
