// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace trap {

inline constexpr std::uint64_t ns_per_s = 1'000'000'000;

} // namespace trap
