// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/redirects/network_change.h"

#include <algorithm>

#include <fmt/core.h>

namespace trap::client {
namespace {

constexpr std::int64_t nap_ns = 500'000'000;

bool has(const std::vector<trap_address>& addresses, const trap_address& wanted) {
  return std::ranges::any_of(addresses, [&](const trap_address& address) {
    return trap_address_equal(&address, &wanted) != 0;
  });
}

Gateway* find(std::vector<Gateway>& gateways, const trap_address& address) {
  const auto found = std::ranges::find_if(gateways, [&](const Gateway& gateway) {
    return trap_address_equal(&gateway.address, &address) != 0;
  });
  return found == gateways.end() ? nullptr : &*found;
}

// Why the network of an interface is another one; empty if it is not.
std::string what_changed(const InterfaceNetwork& before, InterfaceNetwork& now) {
  std::string why;
  if (before.carrier_changes != now.carrier_changes)
    why = "carrier";
  for (const Gateway& gateway : before.gateways) {
    Gateway* same = find(now.gateways, gateway.address);
    if (!same)
      why = "gateway";
    else if (!same->mac)
      same->mac = gateway.mac;
    else if (gateway.mac && *gateway.mac != *same->mac)
      why = "link-layer address of the gateway";
  }
  if (before.gateways.size() != now.gateways.size() && !before.gateways.empty())
    why = "gateway";
  return why;
}

void add(NetworkChange& change, const std::vector<trap_address>& addresses) {
  for (const trap_address& address : addresses)
    if (!has(change.addresses, address))
      change.addresses.push_back(address);
}

} // namespace

NetworkChange compare_networks(const HostNetworks& before, HostNetworks& now,
                               const std::vector<unsigned>& uplinks) {
  NetworkChange change;
  for (const auto& [index, was] : before.interfaces) {
    const auto found = now.interfaces.find(index);
    InterfaceNetwork gone;
    InterfaceNetwork& is = found == now.interfaces.end() ? gone : found->second;
    std::string why = found == now.interfaces.end() ? "interface" : what_changed(was, is);
    if (!why.empty()) {
      add(change, was.addresses);
      add(change, is.addresses);
      change.of_others |= std::ranges::find(uplinks, index) != uplinks.end();
    }
    for (const trap_address& address : was.addresses) {
      if (has(is.addresses, address))
        continue;
      add(change, {address});
      why = why.empty() ? "address" : why;
    }
    if (change.why.empty())
      change.why = why;
  }
  return change;
}

bool SleepWatch::slept(const ClockReading& now) {
  const std::int64_t ahead_ns = now.boottime_ns - now.monotonic_ns;
  const bool slept = ahead_ns_ && ahead_ns > *ahead_ns_ + nap_ns;
  ahead_ns_ = ahead_ns;
  return slept;
}

} // namespace trap::client
