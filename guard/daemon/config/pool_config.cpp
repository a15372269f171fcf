// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/config/pool_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/config/part_config.h"

namespace trap::guard {
namespace {

Written<Prefix> pool_prefix() {
  return {.parse = [](const std::string& text) { return parse_prefix(text); },
          .format = format_prefix,
          .accepted = "addresses and prefixes"};
}

bool overlap(const Prefix& a, const Prefix& b) {
  return covers(a, b.address) || covers(b, a.address);
}

// The earlier prefixes of a pool, and all of another one.
void check_address(ConfigTable& table, const PoolConfig& read, std::size_t at,
                   const PoolConfig& other, std::size_t count) {
  for (std::size_t i = 0; i < count; i++) {
    if (overlap(read.addresses[at], other.addresses[i]))
      table.fail(table.line_of("addresses", at),
                 fmt::format("{} overlaps with {} of pool \"{}\": an address is in one pool",
                             format_prefix(read.addresses[at]), format_prefix(other.addresses[i]),
                             other.name));
  }
}

void check_tag(ConfigTable& table, const PoolConfig& read, std::size_t at, const PoolConfig& other,
               std::size_t count) {
  for (std::size_t i = 0; i < count; i++) {
    if (read.tags[at] == other.tags[i])
      table.fail(table.line_of("tags", at),
                 fmt::format("tag {} belongs to pool \"{}\" already", read.tags[at], other.name));
  }
}

} // namespace

Keys<PoolConfig> pool_keys() {
  using P = PoolConfig;
  return {table_name("pool", &P::name, "name of the pool"),
          required(strings("addresses", &P::addresses, pool_prefix(), by_reload,
                           "protected addresses that take the pool's tags and no others",
                           TRAP_GUARD_MAX_POOL_PREFIXES)),
          required(integers("tags", &P::tags, {0, TRAP_GUARD_TAGS - 1}, by_reload,
                            "tags of tickets and announcements that no other address takes"))};
}

void check_pool(ConfigTable& table, const PoolConfig& read, const std::vector<PoolConfig>& others) {
  std::size_t prefixes = read.addresses.size();
  for (std::size_t i = 0; i < read.addresses.size(); i++)
    check_address(table, read, i, read, i);
  for (std::size_t i = 0; i < read.tags.size(); i++)
    check_tag(table, read, i, read, i);
  for (const PoolConfig& other : others) {
    prefixes += other.addresses.size();
    if (other.name == read.name || pool_number(other.name) == pool_number(read.name))
      table.fail(table.line(), "another pool has this name already");
    for (std::size_t i = 0; i < read.addresses.size(); i++)
      check_address(table, read, i, other, other.addresses.size());
    for (std::size_t i = 0; i < read.tags.size(); i++)
      check_tag(table, read, i, other, other.tags.size());
  }
  if (read.addresses.empty())
    table.fail(table.line_of("addresses"), "a pool without addresses: name some");
  if (read.tags.empty())
    table.fail(table.line_of("tags"), "a pool without tags takes no ticket: name some");
  if (prefixes > TRAP_GUARD_MAX_POOL_PREFIXES)
    table.fail(table.line(), fmt::format("{} prefixes of pools, and there is room for {}", prefixes,
                                         TRAP_GUARD_MAX_POOL_PREFIXES));
}

// FNV-1a.
std::uint32_t pool_number(const std::string& name) {
  std::uint32_t number = 2166136261;
  for (const char letter : name)
    number = (number ^ static_cast<std::uint8_t>(letter)) * 16777619;
  return number == TRAP_NO_POOL || number == TRAP_POOL_CHANGES ? 1 : number;
}

std::vector<std::pair<Prefix, std::uint32_t>>
pools_by_address(const std::vector<PoolConfig>& pools) {
  std::vector<std::pair<Prefix, std::uint32_t>> entries;
  for (const PoolConfig& pool : pools)
    for (const Prefix& prefix : pool.addresses)
      entries.emplace_back(prefix, pool_number(pool.name));
  return entries;
}

std::array<std::uint32_t, TRAP_GUARD_TAGS> pools_by_tag(const std::vector<PoolConfig>& pools) {
  std::array<std::uint32_t, TRAP_GUARD_TAGS> numbers = {};
  for (const PoolConfig& pool : pools)
    for (const std::uint8_t tag : pool.tags)
      numbers[tag] = pool_number(pool.name);
  return numbers;
}

} // namespace trap::guard
