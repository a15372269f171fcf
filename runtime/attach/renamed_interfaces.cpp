// SPDX-License-Identifier: Apache-2.0
#include "runtime/attach/renamed_interfaces.h"

#include <algorithm>
#include <net/if.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "runtime/attach/xdp.h"
#include "runtime/log.h"
#include "runtime/net/interface_choice.h"

namespace trap {
namespace {

constexpr char was_prefix[] = "was-";

Fd open_pin(const std::string& path) {
  return Fd(bpf_obj_get(path.c_str()));
}

// 0: the link is dead, or none.
unsigned index_of(const Fd& link) {
  const auto info = link ? xdp_link_info(link.get()) : std::nullopt;
  return info ? info->xdp.ifindex : 0;
}

std::string was_name(const std::string& configured) {
  std::string name = was_prefix + configured;
  std::replace(name.begin(), name.end(), '.', ':'); // bpffs takes no dots
  return name;
}

// Pins of the same link under names that the interface had before.
void remove_other_pins(const std::string& pin_dir, const Fd& link, const std::string& kept) {
  const auto info = xdp_link_info(link.get());
  for (const std::string& name : list_pins(pin_dir)) {
    if (!name.starts_with(link_pin_name("")) || name == kept)
      continue;
    const std::string path = pin_dir + "/" + name;
    const Fd other = open_pin(path);
    const auto found = other ? xdp_link_info(other.get()) : std::nullopt;
    if (info && found && found->id == info->id)
      unlink(path.c_str());
  }
}

} // namespace

RenamedInterfaces::RenamedInterfaces(std::string pin_dir, std::vector<std::string> configured)
    : pin_dir_(std::move(pin_dir)), configured_(std::move(configured)) {}

std::string RenamedInterfaces::was_pin(const std::string& configured) const {
  return pin_dir_ + "/" + was_name(configured);
}

void RenamedInterfaces::find(const std::vector<HostInterface>& all) {
  for (const std::string& name : configured_)
    if (!is_pattern(name))
      find_one(name, all);
}

void RenamedInterfaces::find_one(const std::string& configured,
                                 const std::vector<HostInterface>& all) {
  const bool is_here = std::ranges::find(all, configured, &HostInterface::name) != all.end();
  Fd link = open_pin(was_pin(configured));
  if (link && index_of(link) == 0) {
    unlink(was_pin(configured).c_str());
    link.reset();
  }
  if (!link && !is_here)
    link = open_pin(pin_dir_ + "/" + link_pin_name(configured));
  const auto now = std::ranges::find(all, index_of(link), &HostInterface::index);
  if (!link || now == all.end())
    return;
  if (!pin(link.get(), pin_dir_ + "/" + link_pin_name(now->name)))
    return;
  remove_other_pins(pin_dir_, link, link_pin_name(now->name));
  if (now->name == configured) {
    unlink(was_pin(configured).c_str());
    return;
  }
  if (!pin(link.get(), was_pin(configured)))
    return;
  configured_as_[now->name] = configured;
  log::info({.interface = now->name}, "interface {} is called {} now", configured, now->name);
}

bool RenamedInterfaces::rename(int link_fd, const std::string& from, const std::string& to) {
  if (!pin(link_fd, pin_dir_ + "/" + link_pin_name(to)))
    return false;
  unlink((pin_dir_ + "/" + link_pin_name(from)).c_str());
  log::info({.interface = to}, "interface {} is called {} now", from, to);
  std::string configured = configured_as(from);
  if (configured.empty() && is_named(configured_, from))
    configured = from;
  configured_as_.erase(from);
  if (configured == to)
    unlink(was_pin(configured).c_str());
  else if (!configured.empty() && pin(link_fd, was_pin(configured)))
    configured_as_[to] = configured;
  return true;
}

std::string RenamedInterfaces::forget(const std::string& name) {
  const std::string configured = configured_as(name);
  if (configured.empty())
    return name;
  unlink(was_pin(configured).c_str());
  unlink((pin_dir_ + "/" + link_pin_name(name)).c_str());
  configured_as_.erase(name);
  return configured;
}

std::vector<std::string> RenamedInterfaces::names() const {
  std::vector<std::string> names = configured_;
  for (const auto& [name, configured] : configured_as_)
    names.push_back(name);
  return names;
}

std::string RenamedInterfaces::configured_as(const std::string& name) const {
  const auto found = configured_as_.find(name);
  return found == configured_as_.end() ? "" : found->second;
}

std::string RenamedInterfaces::pin_of(const std::string& name) const {
  const std::string configured = configured_as(name);
  return configured.empty() ? "" : was_pin(configured);
}

bool was_renamed(const std::string& pin_dir, const std::string& name) {
  char now[IF_NAMESIZE] = {};
  return if_indextoname(index_of(open_pin(pin_dir + "/" + was_name(name))), now) ||
         if_indextoname(index_of(open_pin(pin_dir + "/" + link_pin_name(name))), now);
}

} // namespace trap
