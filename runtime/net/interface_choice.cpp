// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/interface_choice.h"

#include <algorithm>
#include <fnmatch.h>
#include <set>

#include <fmt/core.h>

namespace trap {
namespace {

// A dummy receives what this host sends; a VRF's packets come in by its ports.
bool receives(const HostInterface& interface) {
  return interface.kind != "dummy" && interface.kind != "vrf" && interface.kind != "nlmon";
}

bool has_ports(const HostInterface& interface) {
  return interface.kind == "bridge" || interface.kind == "bond" || interface.kind == "team";
}

const HostInterface* find_index(const std::vector<HostInterface>& all, unsigned index) {
  const auto found = std::ranges::find(all, index, &HostInterface::index);
  return index == 0 || found == all.end() ? nullptr : &*found;
}

class Coverage {
public:
  Coverage(const std::vector<HostInterface>& all, const std::vector<std::string>& attached)
      : all_(all), attached_(attached.begin(), attached.end()) {}

  // By a program of its own, of its bridge or bond, or of what is below it.
  bool covers(const HostInterface& interface) const {
    if (covers_from_below(interface))
      return true;
    const HostInterface* master = find_index(all_, interface.master);
    return master && has_ports(*master) && has_program(*master);
  }

private:
  bool has_program(const HostInterface& interface) const {
    return attached_.contains(interface.name);
  }

  // Devices lie upon each other without circles.
  bool covers_from_below(const HostInterface& interface) const {
    if (has_program(interface))
      return true;
    if (interface.kind == "vlan") {
      const HostInterface* lower = find_index(all_, interface.lower);
      return lower && covers(*lower);
    }
    return has_ports(interface) && covers_ports(interface);
  }

  bool covers_ports(const HostInterface& master) const {
    bool some = false;
    for (const HostInterface& port : all_) {
      if (port.master != master.index || !port.is_up)
        continue;
      if (!covers_from_below(port))
        return false;
      some = true;
    }
    return some;
  }

  const std::vector<HostInterface>& all_;
  std::set<std::string> attached_;
};

} // namespace

bool is_pattern(const std::string& name) {
  return name.find_first_of("*?[") != std::string::npos;
}

bool is_named(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_matched(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::any_of(names, [&](const std::string& pattern) {
    return is_pattern(pattern) && fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  });
}

bool is_excepted(const std::vector<std::string>& except, const std::string& name) {
  return std::ranges::any_of(except, [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  });
}

bool delivers(const HostInterface& interface) {
  return interface.slave_of.empty() || interface.slave_of == "vrf";
}

std::vector<HostInterface> choose_for_xdp(const std::vector<std::string>& names,
                                          const std::vector<std::string>& except,
                                          const std::vector<HostInterface>& all) {
  const auto is_chosen = [&](const HostInterface& interface) {
    if (is_named(names, interface.name))
      return true;
    return !interface.is_loopback && delivers(interface) && receives(interface) &&
           is_matched(names, interface.name) && !is_excepted(except, interface.name);
  };
  std::vector<HostInterface> chosen;
  for (const HostInterface& interface : all) {
    const HostInterface* lower =
        interface.kind == "vlan" ? find_index(all, interface.lower) : nullptr;
    if (is_chosen(interface) && (is_named(names, interface.name) || !lower || !is_chosen(*lower)))
      chosen.push_back(interface);
  }
  return chosen;
}

std::vector<Uncovered> find_uncovered(const std::vector<HostInterface>& all,
                                      const std::vector<std::string>& attached,
                                      const std::map<std::string, std::string>& refused) {
  const Coverage coverage(all, attached);
  std::vector<Uncovered> uncovered;
  for (const HostInterface& interface : all) {
    if (!interface.is_up || interface.is_loopback || coverage.covers(interface))
      continue;
    if (!receives(interface)) {
      uncovered.push_back(
          {interface.name,
           fmt::format("not covered; a {} receives nothing from outside", interface.kind), true});
      continue;
    }
    const auto reason = refused.find(interface.name);
    uncovered.push_back(
        {interface.name,
         reason != refused.end()
             ? reason->second
             : fmt::format("up{}, and not among \"interfaces\"",
                           interface.kind.empty() ? "" : " (" + interface.kind + ")"),
         false});
  }
  return uncovered;
}

} // namespace trap
