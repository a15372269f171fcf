// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/running/server_commands.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "runtime/json_text.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/process/part.h"

namespace trap::server {
namespace {

Result<BackendState> state_for(const std::string& verb) {
  if (verb == "drain")
    return BackendState::draining;
  if (verb == "activate")
    return BackendState::active;
  return Error{fmt::format("unknown order \"{}\" for a backend: use drain or activate", verb),
               ExitCode::usage};
}

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

Result<std::string> run_server_command(RunningServer& server,
                                       const std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "capture")
    return server.captures.command(words, read_clocks().monotonic_ns);
  if (words.size() != 4 || words[0] != "backends")
    return unknown_command(server.active->config.part, words);
  const std::string& service = words[1];
  auto backend = parse_endpoint(words[2]);
  if (!backend)
    return backend.error();
  auto state = state_for(words[3]);
  if (!state)
    return state.error();
  if (auto found = find_backend(server.active->config, service, *backend); !found)
    return found.error();
  server.runtime_state.backends().order(service, *backend, *state);
  refresh_maps(server);
  if (!server.maps_problem.empty())
    return Error{server.maps_problem};
  log::info({.service = service, .backend = words[2]}, "service \"{}\": backend {} is {}, by order",
            service, words[2], backend_state_name(*state));
  return json_text(nlohmann::ordered_json{
      {"service", service}, {"backend", words[2]}, {"state", backend_state_name(*state)}});
}

} // namespace trap::server
