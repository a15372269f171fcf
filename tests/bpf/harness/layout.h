// SPDX-License-Identifier: Apache-2.0
// Map entries from readable descriptions: which named field lies where in a key or a value.
#pragma once

#include "tests/bpf/harness/object.h"
#include "tests/support/test_constants.h"

namespace trap::test {

struct DescribedEntry {
  Bytes key;
  Bytes value;
  Bytes value_mask; // 0xff where the description says something
};

// `now_unix_s` is what "in_s" of an announcement counts from; "in_s" and "ago_s" of other maps
// count from CLOCK_MONOTONIC_COARSE.
DescribedEntry describe_entry(const std::string& map, const Json& entry, int family,
                              const TestConstants& constants, std::uint64_t now_unix_s);

} // namespace trap::test
