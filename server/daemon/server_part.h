// SPDX-License-Identifier: Apache-2.0
// trap-server as the main loop sees it: hands each request to the object with that job.
#pragma once

#include "runtime/process/part.h"
#include "server/daemon/report/server_explain.h"
#include "server/daemon/report/server_report.h"
#include "server/daemon/running/running_server.h"
#include "server/daemon/running/server_reload.h"
#include "server/daemon/running/server_watch.h"

namespace trap::server {

class ServerPart final : public Part {
public:
  explicit ServerPart(ServerConfig config) : server_(std::move(config)) {}

  const PartConfig& config() const override { return server_.active->config.part; }
  ConfigNode shown_config() const override {
    return show_keys(server_keys(), server_.active->config, View::status);
  }
  bool needs_raw_sockets() const override { return true; }
  Result<void> read_keys() override;
  std::vector<std::string> warnings() override;
  Result<void> check_start() override;
  Result<void> start(Undo& undo) override { return start_server(server_, undo); }
  Result<void> detach() override;
  unsigned tick_ms() const override { return ServerWatch::watch_tick_ms; }
  void tick() override;
  Result<std::string> reload() override { return trap::reload(server_.active, reload_); }
  Result<std::string> command(const std::vector<std::string>& words) override;
  Result<std::string> explain(const ExplainRequest& request) override;
  void measure(Metrics& metrics) override;
  void describe(nlohmann::ordered_json& status) override;
  std::vector<Readiness> readiness() override { return readiness_of(server_); }
  std::vector<std::string> problems() override { return problems_of(server_); }
  int event_fd() const override { return server_.announcer->event_fd(); }
  void handle_events() override;

private:
  RunningServer server_;
  ServerWatch watch_{server_};
  ServerReload reload_{server_};
  ServerExplainer explainer_{server_};
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

std::unique_ptr<Part> unconfigured_part();

} // namespace trap::server
