// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/guard_part.h"

#include "guard/daemon/enforcement/closing_rules.h"
#include "guard/daemon/report/guard_report.h"
#include "guard/daemon/running/guard_commands.h"
#include "guard/daemon/running/guard_takeover.h"
#include "runtime/control/status_json.h"
#include "runtime/keys/clock_writer.h"

namespace trap::guard {

Result<void> GuardPart::read_keys() {
  auto key = read_guard_key(guard_.active->config.secret_file);
  if (!key)
    return key.error();
  guard_.active->key = *key;
  return {};
}

Result<void> GuardPart::check_start() {
  return check_takeover(guard_.active->config);
}

// The programs of an earlier run are still at work: closed ports would only cut connections off.
std::string GuardPart::closing_rules() {
  return has_attached_links(config().pin_dir) ? "" : guard::closing_rules(guard_.active->config);
}

Result<void> GuardPart::start(Undo& undo) {
  if (auto started = start_guard(guard_, undo); !started)
    return started.error();
  watch_.correct_counts(read_clocks().monotonic_ns);
  log_warnings(guard_);
  if (auto swapped = guard_.attachments.swap_programs(); !swapped)
    return swapped.error();
  if (auto finished = finish_takeover(guard_); !finished)
    return finished.error();
  guard_.egress.detach_elsewhere(guard_.attachments.interfaces());
  return {};
}

void GuardPart::tick() {
  watch_.tick();
  guard_.captures.tick(read_clocks().monotonic_ns);
}

Result<void> GuardPart::detach() {
  return detach_xdp_part(config(), "the services are not protected any more", [this] {
    guard_.egress.open_earlier();
    guard_.egress.detach_elsewhere({});
  });
}

Result<std::string> GuardPart::command(const std::vector<std::string>& words) {
  return run_guard_command(guard_, words);
}

Result<std::string> GuardPart::explain(const ExplainRequest& request) {
  return explainer_.explain(request);
}

void GuardPart::measure(Metrics& metrics) {
  measure_guard(guard_, metrics);
}

void GuardPart::describe(nlohmann::ordered_json& status) {
  describe_guard(guard_, status);
}

std::string GuardPart::parting_words() {
  return parting_words_of(guard_);
}

std::vector<std::string> GuardPart::warnings() {
  std::vector<std::string> all = warnings_of(guard_);
  if (guard_.active->config.accepts_uncovered)
    return all;
  const std::vector<std::string> uncovered = uncovered_problems(would_be_uncovered(config(), true));
  all.insert(all.end(), uncovered.begin(), uncovered.end());
  return all;
}

int GuardPart::event_fd() const {
  return guard_.suspects_buffer ? ring_buffer__epoll_fd(guard_.suspects_buffer.get()) : -1;
}

void GuardPart::handle_events() {
  if (guard_.interfaces.drain())
    follow_interfaces(guard_);
  ring_buffer__consume(guard_.suspects_buffer.get());
}

Result<std::unique_ptr<Part>> read_part(const std::string& config_path) {
  auto config = read_guard_config(config_path);
  if (!config)
    return config.error();
  return std::unique_ptr<Part>(std::make_unique<GuardPart>(std::move(*config)));
}

std::unique_ptr<Part> unconfigured_part() {
  return std::make_unique<GuardPart>(GuardConfig());
}

} // namespace trap::guard
