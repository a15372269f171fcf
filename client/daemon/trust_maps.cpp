// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/trust_maps.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "runtime/kernel/bpf_map.h"

namespace trap::client {
namespace {

constexpr __u32 kOfBits = 32;
constexpr __u32 kAddressBits = 128;

trap_trust_key key_of(__u32 of, const Prefix& prefix) {
  trap_trust_key key = {};
  key.bits = kOfBits + prefix.bits;
  key.of = of;
  key.prefix = prefix.address;
  return key;
}

trap_trust_key key_of(__u32 of, const trap_address& address) {
  return key_of(of, Prefix{address, kAddressBits});
}

std::set<__u32> numbers_in_use(const TrustFds& fds) {
  std::set<__u32> numbers;
  for (const trap_trust_key& key : map_keys<trap_trust_key>(fds.targets))
    numbers.insert(key.of);
  return numbers;
}

__u32 take_number(std::set<__u32>& used) {
  __u32 number = 1;
  while (used.contains(number))
    number++;
  used.insert(number);
  return number;
}

template <class Keep> Result<void> remove_others(int fd, const char* map, const Keep& keep) {
  for (const trap_trust_key& key : map_keys<trap_trust_key>(fd)) {
    if (keep(key))
      continue;
    if (const int failed = bpf_map_delete_elem(fd, &key); failed && failed != -ENOENT)
      return map_error(map, "delete from", failed);
  }
  return {};
}

bool equal(const trap_trust_key& a, const trap_trust_key& b) {
  return a.bits == b.bits && a.of == b.of && trap_address_equal(&a.prefix, &b.prefix);
}

} // namespace

// New targets under new numbers first; then the services are pointed to them; then the old ones go.
Result<void> write_trusts(const TrustFds& fds, const std::vector<Trust>& trusts) {
  std::set<__u32> used = numbers_in_use(fds), wanted_numbers;
  std::vector<std::pair<trap_trust_key, __u32>> services;
  for (const Trust& trust : trusts) {
    const __u32 number = take_number(used);
    wanted_numbers.insert(number);
    for (const Prefix& target : trust.targets) {
      if (auto written = map_write(fds.targets, "trust_targets", key_of(number, target), __u32{1});
          !written)
        return written;
    }
    for (const TrustedService& service : trust.services)
      services.emplace_back(key_of(service.port, service.prefix), number);
  }
  for (const auto& [key, number] : services) {
    if (auto written = map_write(fds.services, "trust_services", key, number); !written)
      return written;
  }
  const auto is_named = [&](const trap_trust_key& key) {
    return std::ranges::any_of(services,
                               [&](const auto& service) { return equal(service.first, key); });
  };
  if (auto removed = remove_others(fds.services, "trust_services", is_named); !removed)
    return removed;
  return remove_others(fds.targets, "trust_targets",
                       [&](const trap_trust_key& key) { return wanted_numbers.contains(key.of); });
}

__u32 trust_of(const TrustFds& fds, const Endpoint& service) {
  for (const __u32 port : {__u32{service.port}, __u32{0}}) {
    if (const auto number = map_read<__u32>(fds.services, key_of(port, service.address)))
      return *number;
  }
  return 0;
}

bool may_redirect(const TrustFds& fds, __u32 settings_flags, const Endpoint& service,
                  const Endpoint& target) {
  const trap_family family = family_of(service.address);
  if (target.port == 0 || target == service || trap_address_is_forbidden(&target.address, family))
    return false;
  if (const __u32 number = trust_of(fds, service))
    return map_read<__u32>(fds.targets, key_of(number, target.address)).has_value();
  if (settings_flags & TRAP_CLIENT_ONLY_TRUSTED)
    return false;
  return settings_flags & TRAP_CLIENT_ALLOW_PRIVATE ||
         !trap_address_is_private(&target.address, family) ||
         trap_address_is_private(&service.address, family);
}

} // namespace trap::client
