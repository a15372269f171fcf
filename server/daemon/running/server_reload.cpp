// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/running/server_reload.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>
#include <sodium.h>

#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "server/daemon/maps/server_settings.h"

namespace trap::server {

Result<std::unique_ptr<ActiveConfiguration>> ServerReload::read(const ActiveConfiguration& now) {
  auto config = read_server_config(now.config.part.path);
  if (!config)
    return config.error();
  auto next = std::make_unique<ActiveConfiguration>();
  next->config = std::move(*config);
  return next;
}

Result<void> ServerReload::plan(const ActiveConfiguration& now, ActiveConfiguration& next) {
  auto master = read_master_for(next.config, &now.master);
  if (!master)
    return master.error();
  next.master = *master;
  next.master_is_random = !has_master_key(next.config);
  auto plan = make_plan(next.config, maps_after(now.plan));
  if (!plan)
    return plan.error();
  next.plan = std::move(*plan);
  return {};
}

// The steps that are likely to fail come first: tries, places, sockets. After them the maps change.
Result<void> ServerReload::apply(const ActiveConfiguration& now, const ActiveConfiguration& next) {
  RuntimeState& state = server_.runtime_state;
  const EarlierMaps earlier = maps_after(now.plan);
  const MapContents contents = state.contents(next.plan);
  auto change = server_.maps->prepare(next.plan, contents);
  if (!change)
    return change.error();
  if (auto followed = state.follow(next.config, next.plan); !followed)
    return followed.error();
  server_.known->distrust(read_clocks().monotonic_ns);
  publish_settings(*server_.settings, next, read_clocks());
  if (auto applied =
          server_.maps->apply(next.plan, contents, *change, earlier, next.master, server_.epoch);
      !applied) {
    // Cannot fail: the sockets of `now` are open already.
    static_cast<void>(state.follow(now.config, now.plan));
    server_.known->give_up();
    return Error{applied.error().message +
                 ": some of the change is in the maps: restart trap-server"};
  }
  state.note_written(next.plan, contents);
  server_.known->watch(state.ports_with_sockets());
  server_.announcer->follow(next.config, next.plan, next.master, server_.epoch);
  server_.hearing.follow(next.config, next.plan);
  retry_handovers(server_, next.plan);
  return {};
}

namespace {

std::set<Endpoint> addresses_of(const ServerConfig& config) {
  std::set<Endpoint> all;
  for (const ServiceConfig& service : config.services)
    all.insert(service.addresses.begin(), service.addresses.end());
  return all;
}

std::string list_of(const std::set<Endpoint>& some, const std::set<Endpoint>& without) {
  constexpr std::size_t most = 4;
  std::string list;
  std::size_t count = 0;
  for (const Endpoint& address : some) {
    if (without.contains(address))
      continue;
    if (++count <= most)
      list += (count == 1 ? "" : ", ") + format_endpoint(address);
  }
  if (count > most)
    list += fmt::format(" and {} more", count - most);
  return list.empty() ? "none" : list;
}

} // namespace

void ServerReload::follow_addresses() {
  const ActiveConfiguration& now = *server_.active;
  if (std::ranges::none_of(now.config.services, needs_host))
    return;
  std::vector<HostAddress> host = list_host_addresses();
  if (host == server_.host_addresses && server_.addresses_problem.empty())
    return;
  auto next = std::make_unique<ActiveConfiguration>();
  next->config = now.config;
  find_addresses(next->config.services, host);
  server_.host_addresses = std::move(host);
  const std::set<Endpoint> before = addresses_of(now.config), after = addresses_of(next->config);
  if (before == after)
    return server_.addresses_problem.clear();
  next->master = now.master;
  next->master_is_random = now.master_is_random;
  auto plan = make_plan(next->config, maps_after(now.plan));
  const Result<void> applied =
      plan ? (next->plan = std::move(*plan), apply(now, *next)) : Result<void>(plan.error());
  if (!applied) {
    server_.addresses_problem =
        fmt::format("cannot follow this host's addresses: {}", applied.error().message);
    return;
  }
  log::info("this host's addresses: new: {}; gone: {}", list_of(after, before),
            list_of(before, after));
  server_.addresses_problem.clear();
  server_.active = std::move(next);
}

void ServerReload::settle(const ActiveConfiguration& before, const ActiveConfiguration& now,
                          Changes& changes) {
  if (sodium_memcmp(before.master.bytes.data(), now.master.bytes.data(), now.master.bytes.size()) !=
      0)
    changes.applied.push_back({"master_key_file", "new key"});
  warn_of_private_backends(now.config);
  warn_of_shared_doors(now.config);
}

} // namespace trap::server
