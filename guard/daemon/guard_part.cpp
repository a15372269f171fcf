// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/guard_part.h"

#include "runtime/clock_writer.h"
#include "runtime/part_life.h"
#include "trap_guard.skel.h"

namespace trap::guard {

GuardPart::GuardPart(GuardConfig config) : config_(std::move(config)) {}

GuardPart::~GuardPart() {
  trap_guard__destroy(skeleton_);
}

Result<void> GuardPart::read_keys() {
  auto key = read_guard_key(config_.secret_file);
  if (!key)
    return key.error();
  key_ = *key;
  return {};
}

Result<void> GuardPart::load(Undo& undo) {
  const SkeletonSteps steps = {.open =
                                   [this] {
                                     skeleton_ = trap_guard__open();
                                     return skeleton_ ? skeleton_->obj : nullptr;
                                   },
                               .load = [this] { return trap_guard__load(skeleton_); }};
  auto lock = lock_and_load(config_.part, steps, undo);
  if (!lock)
    return lock.error();
  pin_dir_ = std::move(*lock);
  auto& maps = skeleton_->maps;
  fds_ = {.ports = bpf_map__fd(maps.ports),
          .services = bpf_map__fd(maps.services),
          .trap_servers = bpf_map__fd(maps.trap_servers),
          .trusted = bpf_map__fd(maps.trusted),
          .announced = bpf_map__fd(maps.announced),
          .flows = bpf_map__fd(maps.flows),
          .counters = bpf_map__fd(maps.counters)};
  auto settings = MappedValue<trap_guard_settings>::make(bpf_map__fd(maps.settings), "settings");
  if (!settings)
    return settings.error();
  settings_ = std::move(*settings);
  return {};
}

void GuardPart::publish_settings() {
  forget_foreign_keys(settings_->ticket_keys, [this](std::uint64_t epoch) { return derive_ticket_key(key_.secret, epoch); });
  forget_foreign_keys(settings_->announce_keys, [this](std::uint64_t epoch) { return derive_announce_key(key_.secret, epoch); });
  const trap_clock_anchor now = read_clocks();
  rotate_keys(trap_epoch(now.unix_ns));
  publish_clock(settings_->clock, now);
}

void GuardPart::rotate_keys(std::uint64_t epoch) {
  rotate_keyring(settings_->ticket_keys, epoch, [this](std::uint64_t wanted) { return derive_ticket_key(key_.secret, wanted); });
  rotate_keyring(settings_->announce_keys, epoch, [this](std::uint64_t wanted) { return derive_announce_key(key_.secret, wanted); });
}

// The maps, and then the flag without which packets do not look into one of them.
Result<void> GuardPart::apply(const GuardConfig& config, const PortSlots& slots, const PortSlots& earlier) {
  if (auto written = write_maps(fds_, config, slots, earlier); !written)
    return written.error();
  __atomic_store_n(&settings_->flags, config.trusted.empty() ? 0 : TRAP_GUARD_TRUSTS, __ATOMIC_RELEASE);
  return {};
}

Result<void> GuardPart::start(Undo& undo) {
  if (auto loaded = load(undo); !loaded)
    return loaded.error();
  PortSlots earlier = read_port_slots(fds_);
  auto slots = plan_slots(config_, earlier);
  if (!slots)
    return slots.error();
  slots_ = std::move(*slots);
  auto attachments = XdpAttachments::make(config_.part, bpf_program__fd(skeleton_->progs.trap_guard), undo);
  if (!attachments)
    return attachments.error();
  attachments_ = std::move(*attachments);
  publish_settings(); // from here on the maps change, and nothing is likely to fail
  if (auto applied = apply(config_, slots_, earlier); !applied)
    return applied.error();
  return attachments_.swap_programs();
}

Result<void> GuardPart::detach() {
  return detach_xdp_part(config_.part, "the services are not protected any more");
}

void GuardPart::tick() {
  const trap_clock_anchor now = read_clocks();
  publish_clock(settings_->clock, now);
  rotate_keys(trap_epoch(now.unix_ns));
  attachments_.mend();
}

Result<std::unique_ptr<Part>> read_part(const std::string& config_path) {
  auto config = read_guard_config(config_path);
  if (!config)
    return config.error();
  return std::unique_ptr<Part>(std::make_unique<GuardPart>(std::move(*config)));
}

} // namespace trap::guard
