// SPDX-License-Identifier: Apache-2.0
// Addresses that take tickets and announcements of certain tags only: the [[pool]] tables of
// trap-guard's configuration.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "guard/maps.h"
#include "runtime/config/key.h"
#include "runtime/config/prefix.h"

namespace trap::guard {

struct PoolConfig {
  std::string name;
  std::vector<Prefix> addresses; // of this host, or behind it
  std::vector<std::uint8_t> tags;
};

Keys<PoolConfig> pool_keys();

// Checks a pool that was read against those before it.
void check_pool(ConfigTable& table, const PoolConfig& read, const std::vector<PoolConfig>& others);

// The number of a pool in the maps: the same for as long as it has its name. Never one that
// guard/maps.h gives a meaning to.
std::uint32_t pool_number(const std::string& name);

// Map `pools`: an entry for each prefix.
std::vector<std::pair<Prefix, std::uint32_t>>
pools_by_address(const std::vector<PoolConfig>& pools);

// Map `tag_pools`: an entry for each tag.
std::array<std::uint32_t, TRAP_GUARD_TAGS> pools_by_tag(const std::vector<PoolConfig>& pools);

} // namespace trap::guard
