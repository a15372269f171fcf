// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/server_part.h"

#include <set>

#include "runtime/clock_writer.h"
#include "runtime/key_file.h"
#include "runtime/log.h"
#include "runtime/pinned_object.h"
#include "trap_server.skel.h"

namespace trap::server {
namespace {

constexpr char kProgram[] = "trap-server";

// Clients accept a private target from a private service only, unless their administrator allows it.
void warn_of_private_backends(const ServerConfig& config) {
  for (const ServiceConfig& service : config.services) {
    for (const Endpoint& address : service.addresses) {
      for (const BackendConfig& backend : service.backends) {
        trap_family family = family_of(address.address);
        if (family_of(backend.endpoint.address) == family && trap_address_is_private(&backend.endpoint.address, family) &&
            !trap_address_is_private(&address.address, family))
          log::warn(
              "service \"{}\": backend {} is a private address: clients refuse the redirect unless allow_private_targets is set there",
              service.name, format_endpoint(backend.endpoint));
      }
    }
  }
}

std::vector<std::string> guard_names(const ServerConfig& config) {
  std::set<std::string> names;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends)
      names.insert(backend.guard);
  }
  return {names.begin(), names.end()};
}

} // namespace

ServerPart::ServerPart(ServerConfig config) : config_(std::move(config)) {}

ServerPart::~ServerPart() {
  trap_server__destroy(skeleton_);
}

Result<void> ServerPart::read_keys() {
  auto master = read_master_key(config_.master_key_file);
  if (!master)
    return master.error();
  master_ = *master;
  return {};
}

Result<void> ServerPart::load(Undo& undo) {
  for (const std::string& interface : config_.part.interfaces) {
    if (auto index = interface_index(interface, config_.part); !index)
      return index.error();
  }
  auto directory = open_pin_dir(config_.part.pin_dir, kProgram, undo);
  if (!directory)
    return directory.error();
  pin_dir_ = std::move(*directory);
  skeleton_ = trap_server__open();
  if (!skeleton_)
    return Error{"cannot open the BPF program in this executable: was it built completely?"};
  skeleton_->rodata->send_experimental = config_.experimental_kind;
  return load_pinned(
      skeleton_->obj, [this] { return trap_server__load(skeleton_); }, config_.part.pin_dir, kProgram, undo);
}

Result<void> ServerPart::plan_maps() {
  auto& maps = skeleton_->maps;
  auto settings = MappedValue<trap_server_settings>::make(bpf_map__fd(maps.settings), "settings");
  if (!settings)
    return settings.error();
  settings_ = std::move(*settings);
  epoch_ = trap_epoch(read_clocks().unix_ns);
  MapFds fds = {bpf_map__fd(maps.services), bpf_map__fd(maps.selections), bpf_map__fd(maps.backends), bpf_map__fd(maps.guards),
                bpf_map__fd(maps.counters)};
  maps_.emplace(fds, master_);
  earlier_ = maps_->read(guard_names(config_), epoch_);
  auto plan = make_plan(config_, earlier_);
  if (!plan)
    return plan.error();
  plan_ = std::move(*plan);
  return {};
}

void ServerPart::publish_settings() {
  forget_foreign_keys(settings_->cookie_keys, [this](std::uint64_t epoch) { return derive_cookie_key(master_, epoch); });
  settings_->selector_key = derive_selector_key(master_);
  rotate_keyring(settings_->cookie_keys, epoch_, [this](std::uint64_t epoch) { return derive_cookie_key(master_, epoch); });
  publish_clock(settings_->clock, read_clocks());
}

Result<void> ServerPart::start(Undo& undo) {
  if (auto loaded = load(undo); !loaded)
    return loaded.error();
  if (auto planned = plan_maps(); !planned)
    return planned.error();
  auto announcer = Announcer::make(config_, plan_, master_, bpf_map__fd(skeleton_->maps.redirected));
  if (!announcer)
    return announcer.error();
  announcer_ = std::move(*announcer);
  announcer_->rotate_keys(epoch_);
  auto attachments = XdpAttachments::make(config_.part, bpf_program__fd(skeleton_->progs.trap_server), undo);
  if (!attachments)
    return attachments.error();
  attachments_ = std::move(*attachments);
  publish_settings(); // from here on the maps change, and nothing is likely to fail
  if (auto written = maps_->write(plan_, earlier_, epoch_); !written)
    return written.error();
  if (auto swapped = attachments_.swap_programs(); !swapped)
    return swapped.error();
  warn_of_private_backends(config_);
  return {};
}

Result<void> ServerPart::detach() {
  auto directory = lock_pin_dir(config_.part.pin_dir, kProgram);
  if (!directory)
    return directory.error();
  auto detached = detach_pinned_links(config_.part.pin_dir);
  if (!detached)
    return detached.error();
  if (auto removed = remove_pins(config_.part.pin_dir); !removed)
    return removed.error();
  log::info("detached from {} interface(s), removed {}", *detached, config_.part.pin_dir);
  return {};
}

void ServerPart::renew_keys(std::uint64_t epoch) {
  rotate_keyring(settings_->cookie_keys, epoch, [this](std::uint64_t wanted) { return derive_cookie_key(master_, wanted); });
  announcer_->rotate_keys(epoch);
  if (auto rotated = maps_->rotate_guard_keys(plan_, epoch); !rotated) {
    log::error("cannot renew the ticket keys, trying again in a second: {}", rotated.error().message);
    return;
  }
  epoch_ = epoch;
}

void ServerPart::tick() {
  const trap_clock_anchor now = read_clocks();
  publish_clock(settings_->clock, now);
  if (trap_epoch(now.unix_ns) != epoch_)
    renew_keys(trap_epoch(now.unix_ns));
  attachments_.mend();
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
