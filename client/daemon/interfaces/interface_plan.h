// SPDX-License-Identifier: Apache-2.0
// The filters that each of the host's interfaces gets, by the configuration's names and patterns.
// Pure: the tests call it.
#pragma once

#include <string>
#include <vector>

#include "client/daemon/config/client_config.h"
#include "runtime/net/framing.h"
#include "runtime/net/host_interfaces.h"

namespace trap::client {

enum class Side { host, lan }; // this host's own connections, or those of hosts behind it

struct PlannedInterface {
  std::string name;
  unsigned index = 0;
  Side side = Side::host;
  Framing framing = Framing::ethernet;

  bool operator==(const PlannedInterface&) const = default;
};

struct InterfacePlan {
  std::vector<PlannedInterface> interfaces;
  std::vector<std::string> missing; // that are named and not there, or cannot be read; nothing that
                                    // only a pattern matches
  std::vector<std::string> problems; // one for each of these
};

// A name counts whatever the interface is like; a pattern matches those that are up and deliver
// packets themselves: not loopback, and, of "interfaces", no port of a bridge or bond. "lan" goes
// before "interfaces", and a bridge in it stands for its ports: filters and connection tracking may
// see bridged packets before the bridge delivers them.
InterfacePlan plan_interfaces(const ClientConfig& config,
                              const std::vector<HostInterface>& interfaces);

const char* side_name(Side side); // "host", "lan"

} // namespace trap::client
