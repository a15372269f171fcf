// SPDX-License-Identifier: Apache-2.0
// trap-guard's reload: everything is read and planned before the first map is written, and what
// stays is never taken away meanwhile.
#include <fmt/core.h>
#include <sodium.h>

#include "guard/daemon/guard_part.h"
#include "runtime/keys/clock_writer.h"

namespace trap::guard {
namespace {

bool same_key(const GuardKey& a, const GuardKey& b) {
  return a.name == b.name &&
         sodium_memcmp(a.secret.bytes.data(), b.secret.bytes.data(), a.secret.bytes.size()) == 0;
}

} // namespace

Result<std::string> GuardPart::reload() {
  auto config = read_guard_config(config_.part.path);
  if (!config)
    return config.error();
  Changes changes = changes_between(guard_keys(), config_, *config);
  if (auto refused = refuse_changes(changes, config->part.part, config->part.path); !refused)
    return refused.error();
  auto key = read_guard_key(config->secret_file);
  if (!key)
    return key.error();
  auto slots = plan_slots(*config, slots_);
  if (!slots)
    return slots.error();

  if (auto applied = write_maps(fds_, *settings_, *config, *slots, slots_); !applied) {
    auto restored = write_maps(fds_, *settings_, config_, slots_, *slots);
    return Error{
        fmt::format("{}; {}", applied.error().message,
                    restored ? "the former configuration holds"
                             : "and the former one cannot be written either: restart trap-guard")};
  }
  const bool key_changed = !same_key(key_, *key);
  const bool mode_changed =
      config_.mode != config->mode; // otherwise what was commanded since goes on
  if (key_changed)
    changes.applied.push_back({"secret_file", "new key"});
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
  return describe_changes(changes);
}

} // namespace trap::guard
