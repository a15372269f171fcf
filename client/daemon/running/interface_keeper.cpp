// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/running/interface_keeper.h"

#include <algorithm>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "runtime/log.h"

namespace trap::client {
namespace {

constexpr std::chrono::seconds between_looks{5};

// True if only a pattern of the configuration matches the interface, and no name.
bool matched_only(const ClientConfig& config, const std::string& name) {
  return std::ranges::find(config.part.interfaces, name) == config.part.interfaces.end() &&
         std::ranges::find(config.lan, name) == config.lan.end();
}

} // namespace

Result<void> InterfaceKeeper::attach_at_start(Undo& undo) {
  auto watch = InterfaceWatch::make();
  if (!watch)
    return watch.error();
  client_.interfaces = std::move(*watch);
  auto found = list_interfaces();
  if (!found)
    return found.error();
  client_.plan = plan_interfaces(client_.active->config, *found);
  for (const PlannedInterface& interface : client_.plan.interfaces) {
    auto attached = client_.attachments.attach(interface, undo);
    if (!attached && !matched_only(client_.active->config, interface.name))
      return attached.error();
    if (!attached)
      log::warn("{}", attached.error().message);
  }
  return {};
}

void InterfaceKeeper::attach_late(const PlannedInterface& interface) {
  const bool is_new = std::ranges::find(client_.plan.interfaces, interface.index,
                                        &PlannedInterface::index) == client_.plan.interfaces.end();
  Undo loading; // what is loaded stays, whether or not it can be attached
  static_cast<void>(client_.attachments.load_for(interface, loading));
  loading.keep_everything();
  Undo undo;
  auto attached = client_.attachments.attach(interface, undo);
  if (!attached) {
    if (refused_.insert(interface.name).second)
      log::warn("{}", attached.error().message);
    return;
  }
  undo.keep_everything();
  refused_.erase(interface.name);
  if (*attached && is_new)
    log::info({.interface = interface.name}, "interface {}: attached", interface.name);
  else if (*attached)
    log::warn({.interface = interface.name}, "interface {} was without its filters: attached again",
              interface.name);
}

void InterfaceKeeper::tell_of_others(const PlannedInterface& interface) {
  std::vector<std::string> now = client_.attachments.state_of(interface).before;
  std::vector<std::string>& before = before_[interface.name];
  if (now == before)
    return;
  if (now.empty())
    log::info("interface {}: no program of another runs before ours at tc any more",
              interface.name);
  else
    log::warn(
        "interface {}: {} runs before our program at tc; connections whose packets it accepts "
        "or drops are not redirected",
        interface.name, fmt::join(now, ", "));
  before = std::move(now);
}

void InterfaceKeeper::watch_others() {
  const auto now = std::chrono::steady_clock::now();
  if (now < look_again_)
    return;
  look_again_ = now + between_looks;
  for (const PlannedInterface& interface : client_.plan.interfaces)
    tell_of_others(interface);
}

void InterfaceKeeper::follow() {
  auto found = list_interfaces();
  if (!found)
    return;
  InterfacePlan plan = plan_interfaces(client_.active->config, *found);
  for (const PlannedInterface& interface : plan.interfaces)
    attach_late(interface);
  for (const PlannedInterface& before : client_.plan.interfaces) {
    if (std::ranges::find(plan.interfaces, before.index, &PlannedInterface::index) ==
        plan.interfaces.end())
      log::info({.interface = before.name}, "interface {}: no longer attached", before.name);
  }
  if (plan.interfaces != client_.plan.interfaces)
    client_.attachments.detach_elsewhere(plan.interfaces);
  client_.plan = std::move(plan);
}

} // namespace trap::client
