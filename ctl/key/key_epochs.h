// SPDX-License-Identifier: Apache-2.0
// The epochs around the present one: their times, and whether a daemon holds their keys.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trap::ctl {

struct KeyEpoch {
  std::uint64_t epoch = 0;
  std::string role;              // "previous", "present", "next", "ahead"
  std::int64_t since_unix_s = 0; // the first second that lies in it
  std::int64_t until_unix_s = 0; // the first second that does not
  bool held = false;
};

// The previous, the present and the next epoch, held or not, then those further ahead that are
// held; `held` ascends.
std::vector<KeyEpoch> key_epochs(std::uint64_t present, const std::vector<std::uint64_t>& held);

} // namespace trap::ctl
