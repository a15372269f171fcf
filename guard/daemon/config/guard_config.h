// SPDX-License-Identifier: Apache-2.0
// trap-guard's configuration file as a plain struct. No BPF here: the tests read configurations
// too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "guard/daemon/config/class_config.h"
#include "guard/daemon/config/pool_config.h"
#include "guard/maps.h"
#include "protocol/wire.h"
#include "runtime/config/config_changes.h"
#include "runtime/config/endpoint.h"
#include "runtime/config/part_config.h"
#include "runtime/config/prefix.h"

namespace trap::guard {

struct ServiceConfig {
  std::string name;
  std::uint16_t port = 0;
  std::uint8_t scope_v4 = TRAP_SCOPE_V4;
  std::uint8_t scope_v6 = TRAP_SCOPE_V6;
  bool sockets_here = true; // its sockets are this host's
};

enum class Mode {
  enforce, // packets that are refused are dropped
  monitor, // they pass, and are counted
};

const char* mode_name(Mode mode);

struct GuardConfig {
  PartConfig part = make_part_config("guard");
  std::string secret_file = "/etc/trap/guard.key";
  Mode mode = Mode::enforce;
  bool accepts_uncovered = false; // packets may reach the host past the guard
  bool stale_drops = false;       // once the keys have run out, established connections go too
  std::uint32_t clock_skew_s = 60;
  bool icmp_drops = false;
  std::vector<std::uint16_t> management_ports = {22};
  std::uint64_t announced_per_network_per_s = 100;
  std::uint32_t max_clients = TRAP_GUARD_CLIENTS; // a power of two, as the next
  std::uint32_t max_flows = TRAP_GUARD_FLOWS;
  std::vector<trap_address> trap_servers;
  std::vector<Prefix> trusted; // their SYNs need no invitation
  std::vector<PoolConfig> pools;
  std::vector<ClassConfig> classes;
  std::vector<ServiceConfig> services;
};

// Settings that are allowed and hardly meant: a line for each that says what to do.
std::vector<std::string> doubts_about(const GuardConfig& config);

// Every key that trap-guard's configuration may have.
const Keys<GuardConfig>& guard_keys();

Result<GuardConfig> read_guard_config(const std::string& path);

} // namespace trap::guard
