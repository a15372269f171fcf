// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/client_part.h"

#include "client/daemon/report/client_report.h"
#include "client/daemon/running/client_commands.h"
#include "client/daemon/running/client_takeover.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"

namespace trap::client {

Result<void> ClientPart::check_start() {
  return check_takeover(client_.active->config);
}

Result<void> ClientPart::start(Undo& undo) {
  if (auto loaded = load_client(client_, undo); !loaded)
    return loaded.error();
  const ClientConfig& config = client_.active->config;
  if (auto opened = config.renew ? client_.renewer.open() : Result<void>{}; !opened)
    return opened.error();
  if (auto published = publish_policy(client_, config); !published)
    return published.error();
  if (auto begun = networks_.begin(); !begun)
    return begun.error();
  if (auto attached = interfaces_.attach_at_start(undo); !attached)
    return attached.error();
  if (auto finished = client_.takeover.finish(); !finished)
    return finished.error();
  client_.attachments.detach_elsewhere(client_.plan.interfaces);
  client_.attachments.drop_former_pins();
  return {};
}

Result<void> ClientPart::detach() {
  const std::string& pin_dir = config().pin_dir;
  auto directory = lock_pin_dir(pin_dir, "trap-client");
  if (!directory)
    return directory.error();
  client_.attachments.open_earlier();
  unsigned detached = client_.attachments.detach_elsewhere({});
  if (auto removed = remove_pins(pin_dir); !removed)
    return removed.error();
  log::info("detached from {} interface(s), removed {}", detached, pin_dir);
  return {};
}

void ClientPart::tick() {
  interfaces_.follow();
  interfaces_.watch_others();
  networks_.tick();
  follow_translator();
  mend_pins(client_);
  client_.captures.tick(read_clocks().monotonic_ns);
  consent_.tick(client_.fds.counters, client_.fds.fallbacks, read_clocks().monotonic_ns);
  if (client_.active->config.renew)
    client_.renewer.tick(client_.fds.redirects, client_.fds.pending, read_clocks().monotonic_ns);
}

void ClientPart::follow_translator() {
  const ClientConfig& config = client_.active->config;
  if (config.nat64 || !client_.translator.tick())
    return;
  if (auto published = publish_policy(client_, config); !published)
    log::warn("{}", published.error().message);
  else if (const auto& found = client_.translator.found())
    log::info("translator from IPv6 to IPv4: {}",
              found->bits == 0 ? "none" : format_prefix(*found));
}

void ClientPart::handle_events() {
  client_.interfaces.drain();
  interfaces_.follow();
  networks_.handle_event();
}

Result<std::string> ClientPart::command(const std::vector<std::string>& words) {
  return run_client_command(client_, words);
}

Result<std::string> ClientPart::explain(const ExplainRequest& request) {
  return explainer_.explain(request);
}

void ClientPart::measure(Metrics& metrics) {
  measure_client(client_, metrics);
}

void ClientPart::describe(nlohmann::ordered_json& status) {
  describe_client(client_, status);
}

Result<std::unique_ptr<Part>> read_part(const std::string& config_path) {
  auto config = read_client_config(config_path);
  if (!config)
    return config.error();
  return std::unique_ptr<Part>(std::make_unique<ClientPart>(std::move(*config)));
}

std::unique_ptr<Part> unconfigured_part() {
  return std::make_unique<ClientPart>(ClientConfig());
}

} // namespace trap::client
