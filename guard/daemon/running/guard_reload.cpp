// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/running/guard_reload.h"

#include <fmt/core.h>
#include <sodium.h>

namespace trap::guard {
namespace {

bool same_key(const GuardKey& a, const GuardKey& b) {
  return a.name == b.name &&
         sodium_memcmp(a.secret.bytes.data(), b.secret.bytes.data(), a.secret.bytes.size()) == 0;
}

} // namespace

Result<std::unique_ptr<ActiveConfiguration>> GuardReload::read(const ActiveConfiguration& now) {
  auto config = read_guard_config(now.config.part.path);
  if (!config)
    return config.error();
  auto next = std::make_unique<ActiveConfiguration>();
  next->config = std::move(*config);
  return next;
}

Result<void> GuardReload::plan(const ActiveConfiguration& now, ActiveConfiguration& next) {
  auto key = read_guard_key(next.config.secret_file);
  if (!key)
    return key.error();
  next.key = *key;
  auto slots = plan_slots(next.config, now.slots);
  if (!slots)
    return slots.error();
  next.slots = std::move(*slots);
  return {};
}

Result<void> GuardReload::apply(const ActiveConfiguration& now, const ActiveConfiguration& next) {
  auto applied = write_maps(guard_.fds, *guard_.settings, next.config, next.slots, now.slots);
  if (applied)
    return {};
  auto restored = write_maps(guard_.fds, *guard_.settings, now.config, now.slots, next.slots);
  return Error{
      fmt::format("{}; {}", applied.error().message,
                  restored ? "the former configuration holds"
                           : "and the former one cannot be written either: restart trap-guard")};
}

void GuardReload::settle(const ActiveConfiguration& before, const ActiveConfiguration& now,
                         Changes& changes) {
  if (!same_key(before.key, now.key)) {
    changes.applied.push_back({"secret_file", "new key"});
    publish_settings(guard_);
  }
  if (before.config.mode != now.config.mode) // otherwise an operator's command goes on
    take_configured_mode(guard_);
  log_warnings(guard_);
}

} // namespace trap::guard
