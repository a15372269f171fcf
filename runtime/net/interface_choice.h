// SPDX-License-Identifier: Apache-2.0
// A configuration's choice among the host's interfaces, by names and patterns, and the interfaces
// through which packets still reach the host unjudged. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/net/host_interfaces.h"

namespace trap {

// "*", "eth?", "vlan[0-9]*": as in a shell.
bool is_pattern(const std::string& name);

bool is_named(const std::vector<std::string>& names, const std::string& name);

// By one of the patterns among `names`.
bool is_matched(const std::vector<std::string>& names, const std::string& name);

// By a name or pattern of an "except".
bool is_excepted(const std::vector<std::string>& except, const std::string& name);

// A bridge or bond delivers the packets of its ports; a VRF delivers nothing.
bool delivers(const HostInterface& interface);

// The interfaces for programs at XDP. A name counts whatever the interface is like. A pattern
// matches those that deliver packets themselves and receive some from outside, up or down: an
// interface has its program before it comes up. A VLAN of an interface that is chosen has it there.
std::vector<HostInterface> choose_for_xdp(const std::vector<std::string>& names,
                                          const std::vector<std::string>& except,
                                          const std::vector<HostInterface>& all);

struct Uncovered {
  std::string interface; // or "seg6": packets that the host takes out of others by itself
  std::string reason;
  bool is_harmless = false; // nothing comes in by it from outside
};

// Interfaces that are up and deliver packets that no program of ours has seen. `attached`: names of
// those with a program; `refused`: reasons, by name, of those that could not have one. Loopback and
// interfaces that are down do not count.
std::vector<Uncovered> find_uncovered(const std::vector<HostInterface>& all,
                                      const std::vector<std::string>& attached,
                                      const std::map<std::string, std::string>& refused);

} // namespace trap
