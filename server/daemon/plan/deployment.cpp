// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/plan/deployment.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <unistd.h>

#include <fmt/core.h>

#include "runtime/keys/key_file.h"
#include "runtime/log.h"

namespace trap::server {
namespace {

struct Difference {
  std::size_t there = 0;
  std::size_t come = 0;
  std::size_t gone = 0;
};

template <class T> Difference difference(const std::set<T>& before, const std::set<T>& after) {
  auto missing_in = [](const std::set<T>& from, const std::set<T>& in) {
    return static_cast<std::size_t>(
        std::count_if(from.begin(), from.end(), [&](const T& item) { return !in.contains(item); }));
  };
  return {after.size(), missing_in(after, before), missing_in(before, after)};
}

std::string counted(const Difference& difference, const char* what) {
  return fmt::format("{} {} ({} new, {} gone)", difference.there, what, difference.come,
                     difference.gone);
}

std::set<Endpoint> addresses_of(const ServerPlan& plan) {
  std::set<Endpoint> addresses;
  for (const PlannedService& planned : plan.services)
    addresses.insert(planned.address);
  return addresses;
}

std::set<Endpoint> backends_of(const ServerPlan& plan) {
  std::set<Endpoint> backends;
  for (const auto& [index, backend] : plan.backends)
    backends.insert(backend.endpoint);
  return backends;
}

} // namespace

bool has_master_key(const ServerConfig& config) {
  const bool missing = access(config.master_key_file.c_str(), F_OK) != 0 && errno == ENOENT;
  return needs_master_key(config) || !missing;
}

Result<Secret> read_master_for(const ServerConfig& config, const Secret* otherwise) {
  if (has_master_key(config))
    return read_master_key(config.master_key_file);
  if (otherwise)
    return *otherwise;
  log::info("no {}, and no backend that needs it: using a random master key",
            config.master_key_file);
  return generate_master_key();
}

Result<void> refuse_restart_keys(const ServerConfig& running, const ServerConfig& wanted) {
  if (auto same = refuse_changes_of_restart_keys(running.part, wanted.part); !same)
    return same.error();
  const char* changed = nullptr;
  if (running.part.xdp_mode != wanted.part.xdp_mode)
    changed = "xdp_mode";
  else if (running.cookies != wanted.cookies)
    changed = "cookies";
  else if (running.experimental_kind != wanted.experimental_kind)
    changed = "option_kind";
  if (!changed)
    return {};
  return Error{
      fmt::format("{}: \"{}\" has changed, which only a restart applies: restart trap-server",
                  wanted.part.path, changed),
      ExitCode::usage};
}

std::string describe_change(const Deployment& before, const Deployment& after) {
  std::size_t prefixes = 0;
  for (const ServiceConfig& service : after.config.services)
    prefixes += service.policies->entries.size();
  return fmt::format(
      "{}, {}, {} client prefixes",
      counted(difference(addresses_of(before.plan), addresses_of(after.plan)), "addresses"),
      counted(difference(backends_of(before.plan), backends_of(after.plan)), "backends"), prefixes);
}

void warn_of_private_backends(const ServerConfig& config) {
  for (const ServiceConfig& service : config.services) {
    for (const Endpoint& address : service.addresses) {
      for (const BackendConfig& backend : service.backends) {
        trap_family family = family_of(address.address);
        if (family_of(backend.endpoint.address) == family &&
            trap_address_is_private(&backend.endpoint.address, family) &&
            !trap_address_is_private(&address.address, family))
          log::warn("service \"{}\": backend {} is a private address: clients refuse the redirect "
                    "unless allow_private_targets is set there",
                    service.name, format_endpoint(backend.endpoint));
      }
    }
  }
}

} // namespace trap::server
