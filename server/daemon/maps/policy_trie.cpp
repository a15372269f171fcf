// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/maps/policy_trie.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/kernel/bpf_map.h"

namespace trap::server {
namespace {

constexpr char kMap[] = "policies";
constexpr __u32 kBatch = 65536;

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

Result<void> fill_one_by_one(int fd, const Rows& rows) {
  for (std::size_t i = 0; i < rows.keys.size(); i++) {
    if (auto written = map_write(fd, kMap, rows.keys[i], rows.values[i]); !written)
      return written.error();
  }
  return {};
}

Result<void> fill(int fd, const Rows& rows) {
  for (std::size_t done = 0; done < rows.keys.size();) {
    auto count = static_cast<__u32>(std::min<std::size_t>(kBatch, rows.keys.size() - done));
    const int failed =
        bpf_map_update_batch(fd, &rows.keys[done], &rows.values[done], &count, nullptr);
    if (failed == -ENOTSUP || failed == -EOPNOTSUPP ||
        failed == -EINVAL) // a kernel without batches for tries
      return fill_one_by_one(fd, rows);
    if (failed)
      return map_error(kMap, "fill a trie of", failed);
    done += count;
  }
  return {};
}

} // namespace

Result<Fd> make_policy_trie(const ServicePolicies& policies) {
  const Rows rows = rows_of(policies);
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = BPF_F_NO_PREALLOC;
  const auto size = static_cast<__u32>(std::max<std::size_t>(1, rows.keys.size()));
  const int fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "policy_trie", sizeof(trap_policy_key),
                                sizeof(trap_policy), size, &options);
  if (fd < 0)
    return map_error(kMap, "make a trie for", fd == -1 ? errno : fd);
  Fd trie(fd);
  if (auto filled = fill(trie.get(), rows); !filled)
    return filled.error();
  return trie;
}

} // namespace trap::server
