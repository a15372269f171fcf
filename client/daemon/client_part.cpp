// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/client_part.h"

#include <algorithm>
#include <net/if.h>
#include <unistd.h>

#include "runtime/log.h"
#include "runtime/part_life.h"
#include "runtime/pinned_object.h"
#include "runtime/xdp.h"
#include "trap_client.skel.h"

namespace trap::client {
namespace {

constexpr char kProgram[] = "trap-client";

} // namespace

ClientPart::ClientPart(ClientConfig config) : config_(std::move(config)) {
  programs_[0].hook = {Direction::ingress, "trap_client_ingress"};
  programs_[1].hook = {Direction::egress, "trap_client_egress"};
  for (Program& program : programs_)
    program.pin_path = config_.part.pin_dir + "/program-" + direction_name(program.hook.direction);
}

ClientPart::~ClientPart() {
  trap_client__destroy(twin_);
  trap_client__destroy(skeleton_);
}

void ClientPart::open_earlier_programs() {
  for (Program& program : programs_)
    program.earlier = Fd(bpf_obj_get(program.pin_path.c_str()));
}

Result<void> ClientPart::load(Undo& undo) {
  const SkeletonSteps steps = {.open =
                                   [this] {
                                     skeleton_ = trap_client__open();
                                     return skeleton_ ? skeleton_->obj : nullptr;
                                   },
                               .load = [this] { return trap_client__load(skeleton_); }};
  auto lock = lock_and_load(config_.part, steps, undo);
  if (!lock)
    return lock.error();
  pin_dir_ = std::move(*lock);
  auto settings = MappedValue<trap_client_settings>::make(bpf_map__fd(skeleton_->maps.settings), "settings");
  if (!settings)
    return settings.error();
  settings_ = std::move(*settings);
  redirects_fd_ = bpf_map__fd(skeleton_->maps.redirects);
  fallbacks_fd_ = bpf_map__fd(skeleton_->maps.fallbacks);
  to_backend_fd_ = bpf_map__fd(skeleton_->maps.to_backend);
  counters_fd_ = bpf_map__fd(skeleton_->maps.counters);
  programs_[0].fd = bpf_program__fd(skeleton_->progs.trap_client_ingress);
  programs_[1].fd = bpf_program__fd(skeleton_->progs.trap_client_egress);
  for (Program& program : programs_)
    program.id = program_id_of(program.fd);
  return {};
}

Result<void> ClientPart::attach(const std::string& interface, unsigned index, Undo& undo) {
  for (const Program& program : programs_) {
    if (auto attached = attach_filter(interface, index, program.hook, program.fd, program.earlier.get(), undo); !attached)
      return attached.error();
  }
  return {};
}

Result<void> ClientPart::pin_programs(Undo& undo) {
  for (const Program& program : programs_) {
    if (auto pinned = pin(program.fd, program.pin_path); !pinned)
      return pinned.error();
    undo.add([&program] {
      unlink(program.pin_path.c_str());
      if (program.earlier)
        bpf_obj_pin(program.earlier.get(), program.pin_path.c_str());
    });
  }
  return {};
}

unsigned ClientPart::detach_elsewhere(const std::vector<std::string>& keep) {
  unsigned detached = 0;
  struct if_nameindex* interfaces = if_nameindex();
  for (auto* at = interfaces; at && at->if_index != 0; at++) {
    if (std::find(keep.begin(), keep.end(), at->if_name) != keep.end())
      continue;
    bool any = false;
    for (const Program& program : programs_)
      any |= detach_filter(at->if_index, program.hook, program.earlier ? program_id_of(program.earlier.get()) : 0);
    detached += any;
  }
  if_freenameindex(interfaces);
  return detached;
}

Result<void> ClientPart::start(Undo& undo) {
  if (auto loaded = load(undo); !loaded)
    return loaded.error();
  open_earlier_programs();
  for (const std::string& interface : config_.part.interfaces) {
    auto index = interface_index(interface, config_.part);
    if (!index)
      return index.error();
    if (auto attached = attach(interface, *index, undo); !attached)
      return attached.error();
  }
  if (auto pinned = pin_programs(undo); !pinned)
    return pinned.error();
  publish_settings();
  detach_elsewhere(config_.part.interfaces);
  return {};
}

Result<void> ClientPart::detach() {
  auto directory = lock_pin_dir(config_.part.pin_dir, kProgram);
  if (!directory)
    return directory.error();
  open_earlier_programs();
  unsigned detached = detach_elsewhere({});
  if (auto removed = remove_pins(config_.part.pin_dir); !removed)
    return removed.error();
  log::info("detached from {} interface(s), removed {}", detached, config_.part.pin_dir);
  return {};
}

void ClientPart::publish_settings() {
  settings_->flags = config_.allow_private_targets ? TRAP_CLIENT_ALLOW_PRIVATE : 0;
}

void ClientPart::tick() {
  for (const std::string& interface : config_.part.interfaces) {
    unsigned index = if_nametoindex(interface.c_str());
    bool missing = index != 0 && std::any_of(std::begin(programs_), std::end(programs_), [&](const Program& program) {
                     return filter_program_id(index, program.hook, program.id) == 0;
                   });
    if (!missing)
      continue;
    Undo undo;
    if (!attach(interface, index, undo))
      continue;
    undo.keep_everything();
    log::warn("interface {} was without its filters: attached again", interface);
  }
}

Result<std::string> ClientPart::reload() {
  auto wanted = read_client_config(config_.part.path);
  if (!wanted)
    return wanted.error();
  if (auto same = refuse_changes_of_restart_keys(config_.part, wanted->part); !same)
    return same.error();
  bool changed = wanted->allow_private_targets != config_.allow_private_targets;
  config_ = std::move(*wanted);
  publish_settings();
  return std::string("private targets are ") + (changed ? "now " : "") + (config_.allow_private_targets ? "allowed" : "refused");
}

Result<std::unique_ptr<Part>> read_part(const std::string& config_path) {
  auto config = read_client_config(config_path);
  if (!config)
    return config.error();
  return std::unique_ptr<Part>(std::make_unique<ClientPart>(std::move(*config)));
}

} // namespace trap::client
