// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/running/network_keeper.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include <fmt/core.h>

#include "client/daemon/maps/client_maps.h"
#include "client/daemon/redirects/held_redirects.h"
#include "runtime/log.h"
#include "runtime/nanoseconds.h"
#include "runtime/net/netlink_dump.h"

namespace trap::client {
namespace {

constexpr std::uint32_t groups =
    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE | 1U << (RTNLGRP_IPV6_RULE - 1);
constexpr std::uint64_t breaks_per_read = 50; // of the time that a read takes

std::uint64_t read_clock(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * ns_per_s +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// Interfaces by which hosts behind this one reach services: all but those of the LANs.
std::vector<unsigned> uplinks_of(const HostNetworks& networks, const InterfacePlan& plan) {
  std::vector<unsigned> uplinks;
  for (const auto& [index, network] : networks.interfaces) {
    const auto planned = std::ranges::find(plan.interfaces, index, &PlannedInterface::index);
    if (planned == plan.interfaces.end() || planned->side == Side::host)
      uplinks.push_back(index);
  }
  return uplinks;
}

bool is_own(const HostNetworks& networks, const trap_address& address) {
  return std::ranges::any_of(networks.interfaces, [&](const auto& entry) {
    return std::ranges::any_of(entry.second.addresses, [&](const trap_address& own) {
      return trap_address_equal(&own, &address) != 0;
    });
  });
}

bool is_other(const HostRouting* before, const HostRouting* now) {
  return before != now && (!before || !now || *before != *now);
}

} // namespace

Result<void> NetworkKeeper::begin() {
  routes_ = watch_groups(groups);
  if (!routes_)
    return Error{fmt::format("cannot watch this host's routes: {}", error_text(errno))};
  sleep_.slept(read_host_clocks());
  auto now = read_host_networks(TRAP_CLIENT_MAX_ROUTES);
  if (!now)
    log::warn("{}", now.error().message);
  changed_ = !now; // it is read again
  networks_ = now ? std::move(*now) : HostNetworks{};
  if (auto written = write_links(client_.fds.links, networks_->links); !written)
    return written;
  return publish_routing(networks_->routing.get());
}

Result<void> NetworkKeeper::publish_routing(const HostRouting* routing) {
  if (auto written = write_routing(client_.fds.routing, *client_.settings, routing); !written)
    return written;
  client_.routing_unknown = is_followed(routing) ? ""
                            : routing            ? "there are too many of them"
                                                 : "the kernel does not list them";
  return {};
}

// Of connections that are open, none is touched.
void NetworkKeeper::forget(const NetworkChange& change) {
  const auto is_stale = [&](const trap_address& local) {
    return std::ranges::any_of(change.addresses,
                               [&](const trap_address& address) {
                                 return trap_address_equal(&address, &local) != 0;
                               }) ||
           (change.of_others && !is_own(*networks_, local));
  };
  const auto redirects =
      forget_redirects(client_.fds.redirects, [&](const trap_address& local, const Endpoint&,
                                                  const Endpoint&) { return is_stale(local); });
  const auto fallbacks =
      forget_fallbacks(client_.fds.fallbacks,
                       [&](const trap_address& local, const Endpoint&) { return is_stale(local); });
  if (!redirects || !fallbacks)
    log::warn("{}", redirects ? fallbacks.error().message : redirects.error().message);
  else if (*redirects > 0)
    log::info("{} redirect(s) forgotten: another network ({})", *redirects, change.why);
}

void NetworkKeeper::follow() {
  const std::uint64_t begun_ns = read_clock(CLOCK_MONOTONIC);
  auto now = read_host_networks(TRAP_CLIENT_MAX_ROUTES);
  const std::uint64_t ended_ns = read_clock(CLOCK_MONOTONIC);
  read_again_ns_ = ended_ns + breaks_per_read * (ended_ns - begun_ns);
  if (!now) { // such as while routes flap: it is read again
    log::warn("{}", now.error().message);
    return;
  }
  changed_ = false;
  take(std::move(*now));
}

// A host whose interfaces come and go all the time reads its routes no more often than others.
bool NetworkKeeper::follow_if_due() {
  const bool due = changed_ && read_clock(CLOCK_MONOTONIC) >= read_again_ns_;
  if (due)
    follow();
  return due;
}

void NetworkKeeper::handle_event() {
  changed_ = true;
  follow_if_due();
}

void NetworkKeeper::take(HostNetworks now) {
  const NetworkChange change =
      compare_networks(*networks_, now, uplinks_of(*networks_, client_.plan));
  if (now.links != networks_->links) {
    if (auto written = write_links(client_.fds.links, now.links); !written) {
      log::warn("{}", written.error().message);
      changed_ = true; // it is written again
      now.links = networks_->links;
    }
  }
  if (change.any()) {
    forget(change);
    client_.translator.forget();
    if (auto published = publish_policy(client_, client_.active->config); !published)
      log::warn("{}", published.error().message);
  }
  if (is_other(networks_->routing.get(), now.routing.get())) {
    if (auto published = publish_routing(now.routing.get()); !published) {
      log::warn("{}", published.error().message);
      changed_ = true; // it is written again
      now.routing = networks_->routing;
    }
  }
  networks_ = std::move(now);
}

void NetworkKeeper::tick() {
  if (sleep_.slept(read_host_clocks())) {
    NetworkChange everything;
    everything.why = "this host slept";
    everything.of_others = true;
    for (const auto& [index, network] : networks_->interfaces)
      everything.addresses.insert(everything.addresses.end(), network.addresses.begin(),
                                  network.addresses.end());
    forget(everything);
  }
  changed_ |= drain(routes_);
  if (follow_if_due())
    return;
  HostNetworks now = *networks_;
  for (auto& [index, network] : now.interfaces)
    for (Gateway& gateway : network.gateways)
      gateway.mac = find_neighbour(index, gateway.address);
  take(std::move(now));
}

} // namespace trap::client
