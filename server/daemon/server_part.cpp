// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/server_part.h"

#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/process/part_life.h"
#include "server/daemon/maps/server_settings.h"
#include "trap_server.skel.h"

namespace trap::server {
namespace {

constexpr char kProgram[] = "trap-server";
constexpr std::uint64_t kNsPerS = 1000000000;

} // namespace

ServerPart::ServerPart(ServerConfig config) : now_(std::make_unique<Deployment>()) {
  now_->config = std::move(config);
}

ServerPart::~ServerPart() = default;

Result<void> ServerPart::read_keys() {
  auto master = read_master_for(now_->config, nullptr);
  if (!master)
    return master.error();
  now_->master = *master;
  now_->master_is_random = !has_master_key(now_->config);
  return {};
}

void ServerPart::prepare(trap_server& skeleton) const {
  skeleton.rodata->send_experimental = now_->config.experimental_kind;
}

Result<void> ServerPart::load(Undo& undo) {
  if (auto there = check_interfaces(config()); !there)
    return there.error();
  auto lock = open_pin_dir(config().pin_dir, kProgram, undo);
  if (!lock)
    return lock.error();
  auto program = Program<trap_server>::load_upon_pins(
      config().pin_dir, kProgram, [this](trap_server& skeleton) { prepare(skeleton); }, undo);
  if (!program)
    return program.error();
  pin_dir_ = std::move(*lock);
  program_ = std::move(*program);
  return {};
}

Result<void> ServerPart::open_maps() {
  auto& maps = program_->maps;
  auto settings = MappedValue<trap_server_settings>::make(bpf_map__fd(maps.settings), "settings");
  if (!settings)
    return settings.error();
  settings_ = std::move(*settings);
  auto known =
      MappedValue<KnownWords>::make(bpf_map__fd(maps.connection_filter), "connection_filter");
  if (!known)
    return known.error();
  known_words_ = std::move(*known);
  known_.emplace(*known_words_, *settings_);
  maps_.emplace(MapFds{.places = bpf_map__fd(maps.service_table),
                       .services = bpf_map__fd(maps.services),
                       .selections = bpf_map__fd(maps.selections),
                       .backends = bpf_map__fd(maps.backends),
                       .guards = bpf_map__fd(maps.guards),
                       .policies = bpf_map__fd(maps.policies),
                       .clients = bpf_map__fd(maps.clients),
                       .caps = bpf_map__fd(maps.caps),
                       .allowances = bpf_map__fd(maps.allowances),
                       .counters = bpf_map__fd(maps.counters)});
  return {};
}

// From here on the maps change, and nothing is likely to fail.
Result<void> ServerPart::fill_maps(const EarlierMaps& earlier) {
  const MapContents contents = runtime_state_.contents(now_->plan);
  auto change = maps_->prepare(now_->plan, contents);
  if (!change)
    return change.error();
  publish_settings(*settings_, *now_, read_clocks());
  if (auto applied = maps_->apply(now_->plan, contents, *change, earlier, now_->master, epoch_);
      !applied)
    return applied.error();
  runtime_state_.note_written(now_->plan, contents);
  known_->watch(runtime_state_.ports_with_sockets());
  return {};
}

Result<void> ServerPart::start(Undo& undo) {
  if (auto loaded = load(undo); !loaded)
    return loaded.error();
  if (auto opened = open_maps(); !opened)
    return opened.error();
  epoch_ = trap_epoch(read_clocks().unix_ns);
  const EarlierMaps earlier = maps_->read(guard_names(now_->config), now_->master, epoch_);
  auto plan = make_plan(now_->config, earlier);
  if (!plan)
    return plan.error();
  now_->plan = std::move(*plan);
  runtime_state_.go_on_from(earlier.services);
  if (auto followed = runtime_state_.follow(now_->config, now_->plan); !followed)
    return followed.error();
  auto announcer = Announcer::make(now_->config, now_->plan, now_->master,
                                   bpf_map__fd(program_->maps.redirected));
  if (!announcer)
    return announcer.error();
  announcer_ = std::move(*announcer);
  announcer_->rotate_keys(epoch_);
  auto attachments =
      XdpAttachments::make(config(), bpf_program__fd(program_->progs.trap_server), undo);
  if (!attachments)
    return attachments.error();
  attachments_ = std::move(*attachments);
  if (auto assigning = assigner_.start(config(), now_->config.cookies == Cookies::automatic, undo);
      !assigning)
    return assigning.error();
  runtime_state_.look_at_host(now_->config, assigner_.works());
  if (auto filled = fill_maps(earlier); !filled)
    return filled.error();
  if (auto swapped = attachments_.swap_programs(); !swapped)
    return swapped.error();
  assigner_.remove_unwanted();
  warn_of_private_backends(now_->config);
  return {};
}

Result<void> ServerPart::detach() {
  Assigner::detach(config());
  return detach_xdp_part(config(), "");
}

void ServerPart::renew_keys(std::uint64_t epoch) {
  rotate_keyring(settings_->cookie_keys, epoch,
                 [this](std::uint64_t wanted) { return derive_cookie_key(now_->master, wanted); });
  announcer_->rotate_keys(epoch);
  if (auto rotated = maps_->rotate_guard_keys(now_->plan, now_->master, epoch); !rotated) {
    log::error("cannot renew the ticket keys, trying again in a second: {}",
               rotated.error().message);
    return;
  }
  epoch_ = epoch;
}

void ServerPart::refresh_maps() {
  const MapContents contents = runtime_state_.contents(now_->plan);
  if (runtime_state_.lets_sockets_appear(now_->plan, contents))
    known_->distrust(read_clocks().monotonic_ns);
  auto refreshed = maps_->refresh(contents);
  maps_problem_ = refreshed ? "" : refreshed.error().message;
  if (!refreshed)
    return;
  runtime_state_.note_written(now_->plan, contents);
  known_->watch(runtime_state_.ports_with_sockets());
}

std::vector<std::string> ServerPart::find_problems() const {
  std::vector<std::string> problems = runtime_state_.problems(now_->plan);
  for (const std::string& problem : {maps_problem_, known_->problem()}) {
    if (!problem.empty())
      problems.push_back(problem);
  }
  return problems;
}

void ServerPart::tick_second() {
  const trap_clock_anchor now = read_clocks();
  publish_clock(settings_->clock, now);
  if (trap_epoch(now.unix_ns) != epoch_)
    renew_keys(trap_epoch(now.unix_ns));
  attachments_.mend();
  assigner_.mend();
  runtime_state_.look_at_host(now_->config, assigner_.works());
  refresh_maps();
  problem_log_.note(find_problems());
}

void ServerPart::tick() {
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  const bool changed = runtime_state_.advance(now_->plan, maps_->fds().counters, now_ns);
  known_->advance(now_ns);
  // Ticks come a little early or late: a second is five of them, not four or six.
  if (now_ns >= second_ns_ + kNsPerS - tick_ms() * kNsPerS / 2000) {
    second_ns_ = now_ns;
    tick_second();
  } else if (changed) {
    refresh_maps();
  }
}

int ServerPart::event_fd() const {
  return announcer_->event_fd();
}

void ServerPart::handle_events() {
  announcer_->consume();
}

Result<std::unique_ptr<Part>> read_part(const std::string& config_path) {
  auto config = read_server_config(config_path);
  if (!config)
    return config.error();
  return std::unique_ptr<Part>(std::make_unique<ServerPart>(std::move(*config)));
}

} // namespace trap::server
