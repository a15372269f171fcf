// SPDX-License-Identifier: Apache-2.0
// ServerPart while it runs: another configuration, and the operator's orders.
#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "server/daemon/maps/server_settings.h"
#include "server/daemon/server_part.h"
#include "trap_server.skel.h"

namespace trap::server {

Result<std::unique_ptr<Deployment>> ServerPart::read_next() const {
  auto config = read_server_config(this->config().path);
  if (!config)
    return config.error();
  if (auto refused = refuse_changes(changes_between(server_keys(), now_->config, *config),
                                    config->part.part, config->part.path);
      !refused)
    return refused.error();
  auto next = std::make_unique<Deployment>();
  next->config = std::move(*config);
  auto master = read_master_for(next->config, &now_->master);
  if (!master)
    return master.error();
  next->master = *master;
  next->master_is_random = !has_master_key(next->config);
  auto plan = make_plan(next->config, maps_after(now_->plan));
  if (!plan)
    return plan.error();
  next->plan = std::move(*plan);
  return next;
}

// What is likely to fail comes first: tries, places, sockets. After that the maps change.
Result<void> ServerPart::apply(const Deployment& next) {
  const EarlierMaps earlier = maps_after(now_->plan);
  const MapContents contents = runtime_state_.contents(next.plan);
  auto change = maps_->prepare(next.plan, contents);
  if (!change)
    return change.error();
  if (auto followed = runtime_state_.follow(next.config, next.plan); !followed)
    return followed.error();
  known_->distrust(read_clocks().monotonic_ns);
  publish_settings(*settings_, next, read_clocks());
  if (auto applied = maps_->apply(next.plan, contents, *change, earlier, next.master, epoch_);
      !applied) {
    static_cast<void>(
        runtime_state_.follow(now_->config, now_->plan)); // as before: its sockets are open already
    known_->give_up();
    return Error{applied.error().message +
                 ": some of the change is in the maps: restart trap-server"};
  }
  runtime_state_.note_written(next.plan, contents);
  known_->watch(runtime_state_.ports_with_sockets());
  announcer_->follow(next.config, next.plan, next.master, epoch_);
  return {};
}

Result<std::string> ServerPart::reload() {
  auto next = read_next();
  if (!next)
    return next.error();
  if (auto applied = apply(**next); !applied)
    return applied.error();
  Changes changes = changes_between(server_keys(), now_->config, (*next)->config);
  if (sodium_memcmp(now_->master.bytes.data(), (*next)->master.bytes.data(),
                    now_->master.bytes.size()) != 0)
    changes.applied.push_back({"master_key_file", "new key"});
  now_ = std::move(*next);
  warn_of_private_backends(now_->config);
  return describe_changes(changes);
}

namespace {

Result<BackendState> state_for(const std::string& verb) {
  if (verb == "drain")
    return BackendState::draining;
  if (verb == "activate")
    return BackendState::active;
  return Error{fmt::format("unknown order \"{}\" for a backend: use drain or activate", verb),
               ExitCode::usage};
}

// not_running: the control socket answers "not found".
Result<void> find_backend(const ServerConfig& config, const std::string& service_name,
                          const Endpoint& backend) {
  for (const ServiceConfig& service : config.services) {
    if (service.name != service_name)
      continue;
    for (const BackendConfig& there : service.backends) {
      if (there.endpoint == backend)
        return {};
    }
    return Error{fmt::format("service \"{}\" has no backend {}: see trapctl backend list",
                             service_name, format_endpoint(backend)),
                 ExitCode::not_running};
  }
  return Error{fmt::format("no service \"{}\": see trapctl backend list", service_name),
               ExitCode::not_running};
}

} // namespace

Result<std::string> ServerPart::command(const std::vector<std::string>& words) {
  if (words.size() != 4 || words[0] != "backends")
    return Part::command(words);
  const std::string& service = words[1];
  auto backend = parse_endpoint(words[2]);
  if (!backend)
    return backend.error();
  auto state = state_for(words[3]);
  if (!state)
    return state.error();
  if (auto found = find_backend(now_->config, service, *backend); !found)
    return found.error();
  runtime_state_.fleet().order(service, *backend, *state);
  refresh_maps();
  if (!maps_problem_.empty())
    return Error{maps_problem_};
  log::info("service \"{}\": backend {} is {}, by order", service, words[2],
            backend_state_name(*state));
  return nlohmann::ordered_json{
      {"service", service}, {"backend", words[2]}, {"state", backend_state_name(*state)}}
      .dump();
}

} // namespace trap::server
