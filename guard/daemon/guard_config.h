// SPDX-License-Identifier: Apache-2.0
// trap-guard's configuration file as a plain struct. No BPF here: the tests read configurations too.
#ifndef TRAP_GUARD_DAEMON_GUARD_CONFIG_H
#define TRAP_GUARD_DAEMON_GUARD_CONFIG_H

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/endpoint.h"
#include "runtime/part_config.h"
#include "runtime/prefix.h"

namespace trap::guard {

struct ServiceConfig {
  std::string name;
  std::uint16_t port = 0;
};

struct GuardConfig {
  PartConfig part;
  std::string secret_file;
  std::vector<trap_address> trap_servers;
  std::vector<Prefix> trusted; // whose SYNs need no invitation
  std::vector<ServiceConfig> services;
};

Result<GuardConfig> read_guard_config(const std::string& path);

} // namespace trap::guard

#endif
