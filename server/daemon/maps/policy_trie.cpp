// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/maps/policy_trie.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace trap::server {
namespace {

constexpr char policies_map[] = "policies";
constexpr __u32 batch_size = 65536;

struct Rows {
  std::vector<trap_policy_key> keys;
  std::vector<trap_policy> values;
};

Rows rows_of(const ServicePolicies& policies) {
  Rows rows;
  for (const PolicyEntry& entry : policies.config->entries) {
    if (entry.prefix.family() != policies.family)
      continue;
    trap_policy_key key = {};
    key.bits = entry.prefix.bits;
    std::memcpy(key.address, entry.prefix.address.bytes, sizeof(key.address));
    rows.keys.push_back(key);
    rows.values.push_back(policies.rules[entry.rule]);
  }
  return rows;
}

Result<void> fill_one_by_one(MapStore& store, int fd, const Rows& rows) {
  for (std::size_t i = 0; i < rows.keys.size(); i++) {
    if (auto written = store.write(fd, policies_map, rows.keys[i], rows.values[i]); !written)
      return written.error();
  }
  return {};
}

Result<void> fill(MapStore& store, int fd, const Rows& rows) {
  for (std::size_t done = 0; done < rows.keys.size();) {
    auto count = static_cast<__u32>(std::min<std::size_t>(batch_size, rows.keys.size() - done));
    const int failed = store.update_batch(fd, &rows.keys[done], &rows.values[done], &count);
    if (failed == -ENOTSUP || failed == -EOPNOTSUPP ||
        failed == -EINVAL) // a kernel without batches for tries
      return fill_one_by_one(store, fd, rows);
    if (failed)
      return map_error(policies_map, "fill a trie of", failed);
    done += count;
  }
  return {};
}

} // namespace

Result<Fd> make_policy_trie(const ServicePolicies& policies, MapStore& store) {
  const Rows rows = rows_of(policies);
  const auto size = static_cast<__u32>(std::max<std::size_t>(1, rows.keys.size()));
  const int fd = store.make_trie("policy_trie", sizeof(trap_policy_key), sizeof(trap_policy), size);
  if (fd < 0)
    return map_error(policies_map, "make a trie for", fd);
  Fd trie(fd);
  if (auto filled = fill(store, trie.get(), rows); !filled)
    return filled.error();
  return trie;
}

} // namespace trap::server
