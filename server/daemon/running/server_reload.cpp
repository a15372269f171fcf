// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/running/server_reload.h"

#include <sodium.h>

#include "runtime/keys/clock_writer.h"
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
  retry_handovers(server_, next.plan);
  return {};
}

void ServerReload::settle(const ActiveConfiguration& before, const ActiveConfiguration& now,
                          Changes& changes) {
  if (sodium_memcmp(before.master.bytes.data(), now.master.bytes.data(), now.master.bytes.size()) !=
      0)
    changes.applied.push_back({"master_key_file", "new key"});
  warn_of_private_backends(now.config);
}

} // namespace trap::server
