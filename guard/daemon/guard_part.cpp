// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/guard_part.h"

#include "runtime/clock_writer.h"
#include "runtime/log.h"
#include "runtime/pinned_object.h"
#include "trap_guard.skel.h"

namespace trap::guard {
namespace {

constexpr char kProgram[] = "trap-guard";

} // namespace

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
  for (const std::string& interface : config_.part.interfaces) {
    if (auto index = interface_index(interface, config_.part); !index)
      return index.error();
  }
  auto directory = open_pin_dir(config_.part.pin_dir, kProgram, undo);
  if (!directory)
    return directory.error();
  pin_dir_ = std::move(*directory);
  skeleton_ = trap_guard__open();
  if (!skeleton_)
    return Error{"cannot open the BPF program in this executable: was it built completely?"};
  auto loaded = load_pinned(
      skeleton_->obj, [this] { return trap_guard__load(skeleton_); }, config_.part.pin_dir, kProgram, undo);
  if (!loaded)
    return loaded.error();
  auto& maps = skeleton_->maps;
  fds_ = {bpf_map__fd(maps.ports),     bpf_map__fd(maps.services), bpf_map__fd(maps.trap_servers),
          bpf_map__fd(maps.announced), bpf_map__fd(maps.flows),    bpf_map__fd(maps.counters)};
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
  if (auto written = write_maps(fds_, config_, slots_, earlier); !written)
    return written.error();
  return attachments_.swap_programs();
}

Result<void> GuardPart::detach() {
  auto directory = lock_pin_dir(config_.part.pin_dir, kProgram);
  if (!directory)
    return directory.error();
  auto detached = detach_pinned_links(config_.part.pin_dir);
  if (!detached)
    return detached.error();
  if (auto removed = remove_pins(config_.part.pin_dir); !removed)
    return removed.error();
  log::info("detached from {} interface(s), removed {}: the services are not protected any more", *detached, config_.part.pin_dir);
  return {};
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
