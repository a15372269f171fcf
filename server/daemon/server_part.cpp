// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/server_part.h"

#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "server/daemon/report/server_report.h"
#include "server/daemon/running/server_commands.h"
#include "server/daemon/running/server_takeover.h"

namespace trap::server {

Result<void> ServerPart::read_keys() {
  ActiveConfiguration& active = *server_.active;
  auto master = read_master_for(active.config, nullptr);
  if (!master)
    return master.error();
  active.master = *master;
  active.master_is_random = !has_master_key(active.config);
  return {};
}

std::vector<std::string> ServerPart::warnings() {
  std::vector<std::string> all;
  const std::vector<HostAddress> host = list_host_addresses();
  for (const ServiceConfig& service : server_.active->config.services) {
    for (const AddressPattern& pattern : unmatched_patterns(service, host))
      all.push_back(unmatched_text(service, pattern));
  }
  return all;
}

Result<void> ServerPart::check_start() {
  return check_takeover(server_.active->config);
}

void ServerPart::tick() {
  watch_.tick();
  server_.captures.tick(read_clocks().monotonic_ns);
}

Result<void> ServerPart::detach() {
  return detach_xdp_part(config(), "", [this] {
    Assigner::detach(config());
    if (const unsigned detached = TcAttachments::detach(config().pin_dir))
      log::info("detached from {} interface(s) at tc", detached);
  });
}

Result<std::string> ServerPart::command(const std::vector<std::string>& words) {
  return run_server_command(server_, words);
}

Result<std::string> ServerPart::explain(const ExplainRequest& request) {
  return explainer_.explain(request);
}

void ServerPart::measure(Metrics& metrics) {
  measure_server(server_, metrics);
}

void ServerPart::describe(nlohmann::ordered_json& status) {
  describe_server(server_, status);
}

void ServerPart::handle_events() {
  if (server_.interfaces.drain())
    follow_interfaces(server_);
  server_.announcer->consume();
}

Result<std::unique_ptr<Part>> read_part(const std::string& config_path) {
  auto config = read_server_config(config_path);
  if (!config)
    return config.error();
  return std::unique_ptr<Part>(std::make_unique<ServerPart>(std::move(*config)));
}

std::unique_ptr<Part> unconfigured_part() {
  return std::make_unique<ServerPart>(ServerConfig());
}

} // namespace trap::server
