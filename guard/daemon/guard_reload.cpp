// SPDX-License-Identifier: Apache-2.0
// trap-guard's reload: everything is read and planned before the first map is written, and what
// stays is never taken away meanwhile.
#include <algorithm>

#include <fmt/core.h>
#include <sodium.h>

#include "guard/daemon/guard_part.h"
#include "runtime/keys/clock_writer.h"

namespace trap::guard {
namespace {

// Appends "+a -b" for what came and what went, as it is written, in a clause that begins with
// `what`.
void note_changes(std::string& line, const char* what, const std::vector<std::string>& before,
                  const std::vector<std::string>& now) {
  std::string changes;
  const auto note = [&](char sign, const std::vector<std::string>& of,
                        const std::vector<std::string>& others) {
    for (const std::string& one : of) {
      if (std::find(others.begin(), others.end(), one) == others.end())
        changes += fmt::format(" {}{}", sign, one);
    }
  };
  note('+', now, before);
  note('-', before, now);
  if (!changes.empty())
    line += fmt::format("{}{}{}", line.empty() ? "" : "; ", what, changes);
}

template <class T>
std::vector<std::string> written(const std::vector<T>& things, std::string (*write)(const T&)) {
  std::vector<std::string> texts;
  texts.reserve(things.size());
  for (const T& thing : things)
    texts.push_back(write(thing));
  return texts;
}

std::string write_service(const ServiceConfig& service) {
  std::string text = fmt::format("{}:{}", service.name, service.port);
  if (service.scope_v4 != TRAP_SCOPE_V4 || service.scope_v6 != TRAP_SCOPE_V6)
    text += fmt::format("(/{},/{})", service.scope_v4, service.scope_v6);
  return text + (service.sockets_here ? "" : "(elsewhere)");
}

// The keys that are one value each, as the file would have them.
std::vector<std::string> write_values(const GuardConfig& config) {
  return {fmt::format("mode={}", mode_name(config.mode)),
          fmt::format("on_stale_keys={}", config.stale_drops ? "drop" : "established-only"),
          fmt::format("clock_skew_s={}", config.clock_skew_s),
          fmt::format("icmp={}", config.icmp_drops ? "drop" : "pass"),
          fmt::format("announced_per_network_per_s={}", config.announced_per_network_per_s)};
}

bool same_key(const GuardKey& a, const GuardKey& b) {
  return a.name == b.name &&
         sodium_memcmp(a.secret.bytes.data(), b.secret.bytes.data(), a.secret.bytes.size()) == 0;
}

std::string describe_changes(const GuardConfig& before, const GuardConfig& now, bool key_changed) {
  std::string line;
  note_changes(line, "services", written(before.services, write_service),
               written(now.services, write_service));
  note_changes(line, "TRAP servers", written(before.trap_servers, format_address),
               written(now.trap_servers, format_address));
  note_changes(line, "trusted", written(before.trusted, format_prefix),
               written(now.trusted, format_prefix));
  note_changes(line, "classes", written(before.classes, format_class),
               written(now.classes, format_class));
  note_changes(line, "values", write_values(before), write_values(now));
  if (key_changed)
    line += line.empty() ? "new key" : "; new key";
  return line.empty() ? "nothing has changed" : line;
}

} // namespace

Result<std::string> GuardPart::reload() {
  auto config = read_guard_config(config_.part.path);
  if (!config)
    return config.error();
  if (auto refused = refuse_changes_of_restart_keys(config_.part, config->part); !refused)
    return refused.error();
  if (auto refused = refuse_change_of_size(config->part, "max_clients", config_.max_clients,
                                           config->max_clients);
      !refused)
    return refused.error();
  if (auto refused =
          refuse_change_of_size(config->part, "max_flows", config_.max_flows, config->max_flows);
      !refused)
    return refused.error();
  auto key = read_guard_key(config->secret_file);
  if (!key)
    return key.error();
  auto slots = plan_slots(*config, slots_);
  if (!slots)
    return slots.error();

  if (auto applied = apply(*config, *slots, slots_); !applied) {
    auto restored = apply(config_, slots_, *slots);
    return Error{
        fmt::format("{}; {}", applied.error().message,
                    restored ? "the former configuration holds"
                             : "and the former one cannot be written either: restart trap-guard")};
  }
  const bool key_changed = !same_key(key_, *key);
  const bool mode_changed =
      config_.mode != config->mode; // otherwise what was commanded since goes on
  const std::string changes = describe_changes(config_, *config, key_changed);
  config_ = std::move(*config);
  slots_ = std::move(*slots);
  key_ = *key;
  if (key_changed)
    publish_settings();
  if (mode_changed) {
    set_mode(*settings_, config_.mode);
    enforcement_ = {config_.mode, std::nullopt};
    ran_out_ = false;
  }
  log_warnings();
  return changes;
}

} // namespace trap::guard
