// SPDX-License-Identifier: Apache-2.0
#include "ctl/key/key_epochs.h"

#include <algorithm>

#include "protocol/clock.h"
#include "runtime/nanoseconds.h"

namespace trap::ctl {
namespace {

// An epoch begins within a second; that second is the previous one's.
std::int64_t first_second_of(std::uint64_t epoch) {
  return static_cast<std::int64_t>(((epoch << TRAP_EPOCH_SHIFT) + ns_per_s - 1) / ns_per_s);
}

} // namespace

std::vector<KeyEpoch> key_epochs(std::uint64_t present, const std::vector<std::uint64_t>& held) {
  std::vector<KeyEpoch> epochs;
  auto add = [&](std::uint64_t epoch, const char* role) {
    bool is_held = std::find(held.begin(), held.end(), epoch) != held.end();
    epochs.push_back({epoch, role, first_second_of(epoch), first_second_of(epoch + 1), is_held});
  };
  add(present - 1, "previous");
  add(present, "present");
  add(present + 1, "next");
  for (std::uint64_t epoch : held) {
    if (epoch > present + 1)
      add(epoch, "ahead");
  }
  return epochs;
}

} // namespace trap::ctl
