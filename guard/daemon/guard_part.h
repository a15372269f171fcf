// SPDX-License-Identifier: Apache-2.0
// trap-guard as the main loop sees it: hands each request to the object with that job.
#pragma once

#include "guard/daemon/report/guard_explain.h"
#include "guard/daemon/running/guard_reload.h"
#include "guard/daemon/running/guard_watch.h"
#include "guard/daemon/running/running_guard.h"
#include "runtime/process/part.h"

namespace trap::guard {

class GuardPart final : public Part {
public:
  explicit GuardPart(GuardConfig config) : guard_(std::move(config)) {}

  const PartConfig& config() const override { return guard_.active->config.part; }
  ConfigNode shown_config() const override {
    return show_keys(guard_keys(), guard_.active->config, View::status);
  }
  Result<void> read_keys() override;
  std::vector<std::string> warnings() override;
  Result<void> check_start() override;
  std::string closing_rules() override;
  Result<void> start(Undo& undo) override;
  Result<void> detach() override;
  void tick() override;
  Result<std::string> reload() override { return trap::reload(guard_.active, reload_); }
  Result<std::string> command(const std::vector<std::string>& words) override;
  Result<std::string> explain(const ExplainRequest& request) override;
  void measure(Metrics& metrics) override;
  void describe(nlohmann::ordered_json& status) override;
  std::vector<std::string> problems() override { return problems_of(guard_); }
  std::string parting_words() override;
  int event_fd() const override;
  void handle_events() override;

private:
  RunningGuard guard_;
  GuardWatch watch_{guard_};
  GuardReload reload_{guard_};
  GuardExplainer explainer_{guard_};
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

std::unique_ptr<Part> unconfigured_part();

} // namespace trap::guard
