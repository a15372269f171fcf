// SPDX-License-Identifier: Apache-2.0
// trap-server's configuration file as a plain struct. No BPF here: the tests read configurations
// too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/config/config_changes.h"
#include "runtime/config/part_config.h"
#include "server/daemon/config/service_config.h"

namespace trap::server {

struct BudgetConfig { // 0: no limit
  std::uint64_t client_handshakes_per_s = 1000;
  std::uint64_t network_handshakes_per_s = 10000;
  std::uint64_t syn_acks_per_s = 50000000;
  std::uint64_t resets_per_s = 10000000;
};

// The SYN cookies that served clients get: TRAP's own where the kernel makes sockets of them, or
// the kernel's everywhere.
enum class Cookies { automatic, kernel };

// The hook at which packets meet the program.
enum class Attach { xdp, tc };

struct ServerConfig {
  PartConfig part = make_part_config("server");
  std::string master_key_file = "/etc/trap/master.key";
  bool experimental_kind = false;
  Cookies cookies = Cookies::automatic;
  Attach attach = Attach::xdp;         // at tc, xdp_mode says nothing
  std::uint32_t announce_rate = 10000; // a second
  // At most one of each family; without one the kernel chooses (health checks), or it is the
  // service's public address (announcements).
  std::vector<trap_address> announce_source, health_source;
  std::uint32_t announce_check_s = 30; // 0: never
  BudgetConfig budget;
  std::vector<ServiceConfig> services;
};

// Null if there is none of the family.
const trap_address* source_among(const std::vector<trap_address>& sources, trap_family family);

// Without backends nothing is signed, and any master secret does.
bool needs_master_key(const ServerConfig& config);

// Every key that trap-server's configuration may have.
const Keys<ServerConfig>& server_keys();

Result<ServerConfig> read_server_config(const std::string& path);

} // namespace trap::server
