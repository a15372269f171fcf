// SPDX-License-Identifier: Apache-2.0
// Gives things an index in a map, such that a thing keeps its index from one run of the daemon to
// the next, and a new thing takes no index that packets may still be led to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace trap {

// Indexes from `first` to `limit` - 1 for each of `wanted`; nothing if there are too few. Indexes
// of `earlier` things that are no longer wanted are taken only when no other is left.
template <class Key>
std::optional<std::map<Key, std::uint32_t>>
keep_indexes(const std::vector<Key>& wanted, const std::map<Key, std::uint32_t>& earlier,
             std::uint32_t first, std::uint32_t limit) {
  std::map<Key, std::uint32_t> given;
  std::set<std::uint32_t> taken;
  std::set<std::uint32_t> stale;
  for (const auto& [key, index] : earlier)
    stale.insert(index);
  for (const Key& key : wanted) {
    auto at = earlier.find(key);
    if (at == earlier.end() || at->second < first || at->second >= limit ||
        !taken.insert(at->second).second)
      continue;
    given[key] = at->second;
    stale.erase(at->second);
  }
  std::vector<std::uint32_t> free;
  for (std::uint32_t index = first; index < limit; index++) {
    if (!taken.contains(index) && !stale.contains(index))
      free.push_back(index);
  }
  for (std::uint32_t index : stale) {
    if (index >= first && index < limit && !taken.contains(index))
      free.push_back(index);
  }
  auto next = free.begin();
  for (const Key& key : wanted) {
    if (given.contains(key))
      continue;
    if (next == free.end())
      return std::nullopt;
    given[key] = *next++;
  }
  return given;
}

} // namespace trap
