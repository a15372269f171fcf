// SPDX-License-Identifier: Apache-2.0
// trap-client as the main loop sees it: hands each request to the object with that job.
#pragma once

#include "client/daemon/redirects/consent_watch.h"
#include "client/daemon/report/client_explain.h"
#include "client/daemon/running/client_reload.h"
#include "client/daemon/running/interface_keeper.h"
#include "client/daemon/running/network_keeper.h"
#include "client/daemon/running/running_client.h"
#include "runtime/process/part.h"

namespace trap::client {

class ClientPart final : public Part {
public:
  explicit ClientPart(ClientConfig config) : client_(std::move(config)) {}

  const PartConfig& config() const override { return client_.active->config.part; }
  ConfigNode shown_config() const override {
    return show_keys(client_keys(), client_.active->config, View::status);
  }
  bool needs_raw_sockets() const override { return client_.active->config.renew; }
  Result<void> check_start() override;
  Result<void> start(Undo& undo) override;
  Result<void> detach() override;
  void tick() override;
  int event_fd() const override { return client_.interfaces.fd(); }
  void handle_events() override;
  Result<std::string> reload() override { return trap::reload(client_.active, reload_); }
  Result<std::string> command(const std::vector<std::string>& words) override;
  Result<std::string> explain(const ExplainRequest& request) override;
  void measure(Metrics& metrics) override;
  void describe(nlohmann::ordered_json& status) override;
  std::vector<std::string> problems() override { return problems_of(client_); }

private:
  // Asks which translator this host has, if the configuration does not say it.
  void follow_translator();

  RunningClient client_;
  InterfaceKeeper interfaces_{client_};
  NetworkKeeper networks_{client_};
  ConsentWatch consent_;
  ClientReload reload_{client_, interfaces_};
  ClientExplainer explainer_{client_};
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

std::unique_ptr<Part> unconfigured_part();

} // namespace trap::client
