// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/client_part.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "client/daemon/held_redirects.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/process/part_life.h"
#include "trap_client.skel.h"

namespace trap::client {
namespace {

constexpr char kProgram[] = "trap-client";

// Is the interface there by a pattern, and no name?
bool matched_only(const ClientConfig& config, const std::string& name) {
  return std::ranges::find(config.part.interfaces, name) == config.part.interfaces.end() &&
         std::ranges::find(config.lan, name) == config.lan.end();
}

} // namespace

ClientPart::ClientPart(ClientConfig config)
    : config_(std::move(config)), attachments_(config_.part.pin_dir) {}

ClientPart::~ClientPart() = default;

Result<void> ClientPart::load(Undo& undo) {
  auto lock = open_pin_dir(config().pin_dir, kProgram, undo);
  if (!lock)
    return lock.error();
  auto program = Program<trap_client>::load_upon_pins(
      config().pin_dir, kProgram, [this](trap_client& skeleton) { prepare(skeleton); }, undo);
  if (!program)
    return program.error();
  pin_dir_ = std::move(*lock);
  program_ = std::move(*program);
  auto settings =
      MappedValue<trap_client_settings>::make(bpf_map__fd(program_->maps.settings), "settings");
  if (!settings)
    return settings.error();
  settings_ = std::move(*settings);
  redirects_fd_ = bpf_map__fd(program_->maps.redirects);
  fallbacks_fd_ = bpf_map__fd(program_->maps.fallbacks);
  pending_fd_ = bpf_map__fd(program_->maps.pending);
  to_backend_fd_ = bpf_map__fd(program_->maps.to_backend);
  counters_fd_ = bpf_map__fd(program_->maps.counters);
  trust_fds_ = {.services = bpf_map__fd(program_->maps.trust_services),
                .targets = bpf_map__fd(program_->maps.trust_targets)};
  attachments_.open_earlier();
  attachments_.take_programs(program_.object());
  return {};
}

void ClientPart::prepare(trap_client& skeleton) const {
  bpf_map__set_max_entries(skeleton.maps.redirects, config_.max_redirects);
  bpf_map__set_max_entries(skeleton.maps.to_backend, config_.max_flows);
  bpf_map__set_max_entries(skeleton.maps.to_public, config_.max_flows);
}

// An interface that is not there yet is a problem, not an error; one that is there and refuses is
// an error if it was named.
Result<void> ClientPart::attach_at_start(Undo& undo) {
  auto watch = LinkWatch::make();
  if (!watch)
    return watch.error();
  links_ = std::move(*watch);
  auto links = list_links();
  if (!links)
    return links.error();
  plan_ = plan_interfaces(config_, *links);
  for (const PlannedInterface& interface : plan_.interfaces) {
    auto attached = attachments_.attach(interface, undo);
    if (!attached && !matched_only(config_, interface.name))
      return attached.error();
    if (!attached)
      log::warn("{}", attached.error().message);
  }
  return {};
}

Result<void> ClientPart::start(Undo& undo) {
  if (auto loaded = load(undo); !loaded)
    return loaded.error();
  if (auto opened = config_.renew ? renewer_.open() : Result<void>{}; !opened)
    return opened.error();
  if (auto published = write_policy(trust_fds_, *settings_, config_); !published)
    return published.error();
  if (auto attached = attach_at_start(undo); !attached)
    return attached.error();
  if (auto pinned = attachments_.pin_programs(undo); !pinned)
    return pinned.error();
  attachments_.detach_elsewhere(plan_.interfaces);
  return {};
}

Result<void> ClientPart::detach() {
  auto directory = lock_pin_dir(config_.part.pin_dir, kProgram);
  if (!directory)
    return directory.error();
  attachments_.open_earlier();
  unsigned detached = attachments_.detach_elsewhere({});
  if (auto removed = remove_pins(config_.part.pin_dir); !removed)
    return removed.error();
  log::info("detached from {} interface(s), removed {}", detached, config_.part.pin_dir);
  return {};
}

// Redirects that were learnt under another policy.
Result<std::size_t> ClientPart::drop_forbidden_redirects() {
  return forget_redirects(redirects_fd_, [this](const Endpoint& service, const Endpoint& backend) {
    return !may_redirect(trust_fds_, settings_->flags, service, backend);
  });
}

void ClientPart::attach_late(const PlannedInterface& interface) {
  const bool is_new = std::ranges::find(plan_.interfaces, interface.index,
                                        &PlannedInterface::index) == plan_.interfaces.end();
  Undo undo;
  auto attached = attachments_.attach(interface, undo);
  if (!attached) {
    if (refused_.insert(interface.name).second)
      log::warn("{}", attached.error().message);
    return;
  }
  undo.keep_everything();
  refused_.erase(interface.name);
  if (*attached && is_new)
    log::info("interface {}: attached", interface.name);
  else if (*attached)
    log::warn("interface {} was without its filters: attached again", interface.name);
}

void ClientPart::follow_interfaces() {
  auto links = list_links();
  if (!links)
    return;
  InterfacePlan plan = plan_interfaces(config_, *links);
  for (const PlannedInterface& interface : plan.interfaces)
    attach_late(interface);
  for (const PlannedInterface& before : plan_.interfaces) {
    if (std::ranges::find(plan.interfaces, before.index, &PlannedInterface::index) ==
        plan.interfaces.end())
      log::info("interface {}: no longer attached", before.name);
  }
  if (plan.interfaces != plan_.interfaces)
    attachments_.detach_elsewhere(plan.interfaces);
  plan_ = std::move(plan);
}

void ClientPart::handle_events() {
  links_.drain();
  follow_interfaces();
}

void ClientPart::tick() {
  follow_interfaces();
  if (config_.renew)
    renewer_.tick(redirects_fd_, pending_fd_, read_clocks().monotonic_ns);
}

Result<std::string> ClientPart::reload() {
  auto wanted = read_client_config(config_.part.path);
  if (!wanted)
    return wanted.error();
  const Changes changes = changes_between(client_keys(), config_, *wanted);
  if (auto refused = refuse_changes(changes, wanted->part.part, wanted->part.path); !refused)
    return refused.error();
  if (wanted->renew && !config_.renew) {
    if (auto opened = renewer_.open(); !opened)
      return opened.error();
  }
  ClientConfig former = std::exchange(config_, std::move(*wanted));
  if (auto published = write_policy(trust_fds_, *settings_, config_); !published) {
    config_ = std::move(former);
    static_cast<void>(write_policy(trust_fds_, *settings_, config_));
    return published.error();
  }
  follow_interfaces();
  if (!config_.renew)
    renewer_.stop(pending_fd_);
  auto dropped = drop_forbidden_redirects();
  if (!dropped)
    return dropped.error();
  return describe_changes(changes) +
         (*dropped ? fmt::format("; {} redirect(s) forgotten that are no longer allowed", *dropped)
                   : "");
}

Result<std::unique_ptr<Part>> read_part(const std::string& config_path) {
  auto config = read_client_config(config_path);
  if (!config)
    return config.error();
  return std::unique_ptr<Part>(std::make_unique<ClientPart>(std::move(*config)));
}

} // namespace trap::client
