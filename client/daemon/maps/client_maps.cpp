// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/maps/client_maps.h"

#include <algorithm>
#include <set>

#include "client/targets.h"

namespace trap::client {
namespace {

constexpr __u32 bits_per_word = 32;
constexpr __u32 address_bits_max = 128;

trap_trust_key key_of(__u32 of, const Prefix& prefix) {
  trap_trust_key key = {};
  key.bits = bits_per_word + prefix.bits;
  key.of = of;
  key.prefix = prefix.address;
  return key;
}

trap_trust_key key_of(__u32 of, const trap_address& address) {
  return key_of(of, Prefix{address, address_bits_max});
}

// Also that of a trust without targets, which only its services know.
std::set<__u32> numbers_in_use(const TrustFds& fds, MapStore& store) {
  std::set<__u32> numbers;
  for (const trap_trust_key& key : store.keys<trap_trust_key>(fds.targets))
    numbers.insert(key.of);
  for (const trap_trust_key& key : store.keys<trap_trust_key>(fds.services))
    numbers.insert(store.read<__u32>(fds.services, key).value_or(0));
  return numbers;
}

__u32 take_number(std::set<__u32>& used) {
  __u32 number = 1;
  while (used.contains(number))
    number++;
  used.insert(number);
  return number;
}

// By the order in which the programs look: keys with a port first, and of those the longest prefix.
bool goes_before(const trap_trust_key& a, const trap_trust_key& b) {
  const bool port_of_a = a.of != 0, port_of_b = b.of != 0;
  return port_of_a != port_of_b ? port_of_a : a.bits > b.bits;
}

bool equal(const trap_trust_key& a, const trap_trust_key& b) {
  return a.bits == b.bits && a.of == b.of && trap_address_equal(&a.prefix, &b.prefix);
}

struct NumberedTrusts {
  std::set<__u32> numbers;
  std::vector<std::pair<trap_trust_key, __u32>> services; // in the order of goes_before

  bool names(const trap_trust_key& key) const {
    return std::ranges::any_of(services,
                               [&](const auto& service) { return equal(service.first, key); });
  }
};

// Gives each trust a number that no packet knows yet, and writes its targets under that.
Result<NumberedTrusts> add_targets(const TrustFds& fds, const std::vector<Trust>& trusts,
                                   MapStore& store) {
  std::set<__u32> used = numbers_in_use(fds, store);
  NumberedTrusts numbered;
  for (const Trust& trust : trusts) {
    const __u32 number = take_number(used);
    numbered.numbers.insert(number);
    for (const Prefix& target : trust.targets) {
      const trap_trust_key key = key_of(number, target);
      if (auto written = store.write(fds.targets, "trust_targets", key, __u32{1}); !written)
        return written.error();
    }
    for (const TrustedService& service : trust.services)
      numbered.services.emplace_back(key_of(service.port, service.prefix), number);
  }
  std::ranges::stable_sort(numbered.services, [](const auto& a, const auto& b) {
    return goes_before(a.first, b.first);
  });
  return numbered;
}

// The key that a service matches last comes last: removed sooner, it would leave the service to one
// that is to go as well.
Result<void> remove_services(const TrustFds& fds, const NumberedTrusts& wanted, MapStore& store) {
  std::vector<trap_trust_key> keys = store.keys<trap_trust_key>(fds.services);
  std::ranges::stable_sort(keys, [](const auto& a, const auto& b) { return goes_before(b, a); });
  for (const trap_trust_key& key : keys) {
    if (wanted.names(key))
      continue;
    if (auto removed = store.remove(fds.services, "trust_services", key); !removed)
      return removed;
  }
  return {};
}

Result<void> remove_targets(const TrustFds& fds, const NumberedTrusts& wanted, MapStore& store) {
  for (const trap_trust_key& key : store.keys<trap_trust_key>(fds.targets)) {
    if (wanted.numbers.contains(key.of))
      continue;
    if (auto removed = store.remove(fds.targets, "trust_targets", key); !removed)
      return removed;
  }
  return {};
}

// The prefix is not in use while it is written.
void write_settings(trap_client_settings& settings, const ClientConfig& config) {
  const __u32 flags = (config.allow_private_targets ? TRAP_CLIENT_ALLOW_PRIVATE : 0) |
                      (config.only_trusted ? TRAP_CLIENT_ONLY_TRUSTED : 0) |
                      (config.require_consent ? 0 : TRAP_CLIENT_WITHOUT_CONSENT);
  __atomic_store_n(&settings.flags, flags, __ATOMIC_RELEASE);
  if (!config.nat64)
    return;
  settings.nat64_bits = config.nat64->bits;
  settings.nat64 = config.nat64->address;
  __atomic_store_n(&settings.flags, flags | TRAP_CLIENT_NAT64_KNOWN, __ATOMIC_RELEASE);
}

} // namespace

// The flags are for services that no trust names. They change when the services that get a name
// have it, and those that lose theirs still have it.
Result<void> write_policy(const TrustFds& fds, trap_client_settings& settings,
                          const ClientConfig& config, MapStore& store) {
  auto wanted = add_targets(fds, config.trusts, store);
  if (!wanted)
    return wanted.error();
  for (const auto& [key, number] : wanted->services) {
    if (auto written = store.write(fds.services, "trust_services", key, number); !written)
      return written;
  }
  write_settings(settings, config);
  if (auto removed = remove_services(fds, *wanted, store); !removed)
    return removed;
  return remove_targets(fds, *wanted, store);
}

Result<void> write_links(int links_fd, const std::vector<LinkPrefix>& links, MapStore& store) {
  const bool are_known = !links.empty() && links.size() <= TRAP_CLIENT_MAX_LINKS;
  const std::vector<LinkPrefix> wanted =
      are_known ? links : std::vector<LinkPrefix>{{Prefix{}, TRAP_LINK_UNKNOWN}};
  const std::vector<trap_trust_key> before = store.keys<trap_trust_key>(links_fd);
  for (const LinkPrefix& link : wanted) {
    if (auto written =
            store.write(links_fd, "links", key_of(0, link.prefix), __u32{link.interface});
        !written)
      return written;
  }
  for (const trap_trust_key& key : before) {
    const bool stays = std::ranges::any_of(
        wanted, [&](const LinkPrefix& link) { return equal(key, key_of(0, link.prefix)); });
    if (stays)
      continue;
    if (auto removed = store.remove(links_fd, "links", key); !removed)
      return removed;
  }
  return {};
}

__u32 trust_of(const TrustFds& fds, const Endpoint& service, MapStore& store) {
  for (const __u32 port : {__u32{service.port}, __u32{0}}) {
    if (const auto number = store.read<__u32>(fds.services, key_of(port, service.address)))
      return *number;
  }
  return 0;
}

bool may_redirect(const TrustFds& fds, const trap_client_settings& settings,
                  const Endpoint& service, const Endpoint& target, MapStore& store) {
  const trap_family family = family_of(service.address);
  if (target.port == 0 || target == service ||
      trap_target_is_forbidden(&settings, &target.address, family))
    return false;
  if (const __u32 number = trust_of(fds, service, store))
    return store.read<__u32>(fds.targets, key_of(number, target.address)).has_value();
  if (settings.flags & TRAP_CLIENT_ONLY_TRUSTED)
    return false;
  return settings.flags & TRAP_CLIENT_ALLOW_PRIVATE ||
         !trap_target_is_private(&settings, &target.address, family) ||
         trap_target_is_private(&settings, &service.address, family);
}

} // namespace trap::client
