// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/guard_part.h"

#include <bpf/libbpf.h>

#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/process/part_life.h"
#include "trap_guard.skel.h"

namespace trap::guard {
namespace {

constexpr char kProgram[] = "trap-guard";

} // namespace

GuardPart::GuardPart(GuardConfig config) : config_(std::move(config)) {}

GuardPart::~GuardPart() {
  ring_buffer__free(suspects_buffer_);
}

Result<void> GuardPart::read_keys() {
  auto key = read_guard_key(config_.secret_file);
  if (!key)
    return key.error();
  key_ = *key;
  return {};
}

Result<void> GuardPart::load(Undo& undo) {
  if (auto there = check_interfaces(config()); !there)
    return there.error();
  auto lock = open_pin_dir(config().pin_dir, kProgram, undo);
  if (!lock)
    return lock.error();
  auto program = Program<trap_guard>::load_upon_pins(
      config().pin_dir, kProgram, [this](trap_guard& skeleton) { prepare(skeleton); }, undo);
  if (!program)
    return program.error();
  pin_dir_ = std::move(*lock);
  program_ = std::move(*program);
  auto& maps = program_->maps;
  fds_ = {.ports = bpf_map__fd(maps.ports),
          .classes = bpf_map__fd(maps.classes),
          .trap_servers = bpf_map__fd(maps.trap_servers),
          .trusted = bpf_map__fd(maps.trusted),
          .admitted = bpf_map__fd(maps.admitted),
          .counters = bpf_map__fd(maps.counters),
          .monitored = bpf_map__fd(maps.monitored)};
  return map_tables();
}

void GuardPart::prepare(trap_guard& skeleton) const {
  skeleton.rodata->flow_buckets = flow_buckets(config_);
  skeleton.rodata->announced_buckets = announced_buckets(config_);
  bpf_map__set_max_entries(skeleton.maps.flows, flow_buckets(config_));
  bpf_map__set_max_entries(skeleton.maps.announced, announced_buckets(config_));
  bpf_map__set_max_entries(skeleton.maps.admitted, config_.max_clients);
  bpf_map__set_max_entries(skeleton.maps.networks, config_.max_clients);
}

Result<void> GuardPart::map_tables() {
  auto& maps = program_->maps;
  auto settings = MappedValue<trap_guard_settings>::make(bpf_map__fd(maps.settings), "settings");
  if (!settings)
    return settings.error();
  settings_ = std::move(*settings);
  auto flows = MappedArray<trap_flow_bucket>::make(bpf_map__fd(maps.flows),
                                                   bpf_map__max_entries(maps.flows), "flows");
  if (!flows)
    return flows.error();
  flows_ = std::move(*flows);
  auto announced = MappedArray<trap_announced_bucket>::make(
      bpf_map__fd(maps.announced), bpf_map__max_entries(maps.announced), "announced");
  if (!announced)
    return announced.error();
  announced_ = std::move(*announced);
  const auto take = [](void* suspects, void* record, size_t size) {
    if (size >= sizeof(trap_suspect))
      static_cast<Suspects*>(suspects)->add(*static_cast<const trap_suspect*>(record),
                                            read_clocks().unix_s);
    return 0;
  };
  suspects_buffer_ = ring_buffer__new(bpf_map__fd(maps.suspects), take, &suspects_, nullptr);
  if (!suspects_buffer_)
    return map_error("suspects", "map into memory", errno);
  return {};
}

// A trial of enforcing goes on when the daemon is restarted under it; otherwise the configuration
// decides.
void GuardPart::begin_mode() {
  enforcement_ = enforcement_of(*settings_, read_clocks().monotonic_ns);
  if (enforcement_.confirm_within_s) {
    log::info("mode: enforce, for {} more seconds unless confirmed: trapctl guard confirm",
              *enforcement_.confirm_within_s);
    return;
  }
  set_mode(*settings_, config_.mode);
  enforcement_ = {config_.mode, std::nullopt};
  log::info("mode: {}", config_.mode == Mode::enforce ? "enforce" : "monitor: nothing is dropped");
}

void GuardPart::publish_settings() {
  forget_keys_of_others(*settings_, key_.secret);
  renew_settings(*settings_, key_.secret, read_clocks());
}

Result<void> GuardPart::start(Undo& undo) {
  if (auto loaded = load(undo); !loaded)
    return loaded.error();
  PortSlots earlier = read_port_slots(fds_);
  auto slots = plan_slots(config_, earlier);
  if (!slots)
    return slots.error();
  slots_ = std::move(*slots);
  auto attachments =
      XdpAttachments::make(config_.part, bpf_program__fd(program_->progs.trap_guard), undo);
  if (!attachments)
    return attachments.error();
  attachments_ = std::move(*attachments);
  make_table_keys(*settings_); // from here on the maps change, and nothing is likely to fail
  publish_settings();
  begin_mode();
  if (auto applied = write_maps(fds_, *settings_, config_, slots_, earlier); !applied)
    return applied.error();
  correct_counts(read_clocks().monotonic_ns);
  log_warnings();
  return attachments_.swap_programs();
}

Result<void> GuardPart::detach() {
  return detach_xdp_part(config_.part, "the services are not protected any more");
}

void GuardPart::tick() {
  const trap_clock_anchor now = read_clocks();
  renew_settings(*settings_, key_.secret, now);
  watch_mode(now.monotonic_ns);
  watch_keys(now.unix_ns);
  watch_clocks();
  if (now.monotonic_ns >= next_correction_ns_)
    correct_counts(now.monotonic_ns);
  attachments_.mend();
}

Result<std::unique_ptr<Part>> read_part(const std::string& config_path) {
  auto config = read_guard_config(config_path);
  if (!config)
    return config.error();
  return std::unique_ptr<Part>(std::make_unique<GuardPart>(std::move(*config)));
}

} // namespace trap::guard
