// SPDX-License-Identifier: Apache-2.0
// trap-server's configuration file as a plain struct. No BPF here: the tests read configurations too.
#ifndef TRAP_SERVER_DAEMON_SERVER_CONFIG_H
#define TRAP_SERVER_DAEMON_SERVER_CONFIG_H

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/endpoint.h"
#include "runtime/part_config.h"

namespace trap::server {

struct BackendConfig {
  Endpoint endpoint;
  std::string guard;
  std::uint32_t weight = 1;
  std::uint16_t lifetime_s = 0; // of tickets and announcements
};

struct ServiceConfig {
  std::string name;
  std::vector<Endpoint> addresses; // the public ones
  bool offer = true;
  std::vector<BackendConfig> backends; // of both families
};

struct ServerConfig {
  PartConfig part;
  std::string master_key_file;
  bool experimental_kind = false;
  std::uint32_t announce_rate = 0; // a second
  std::vector<ServiceConfig> services;
};

Result<ServerConfig> read_server_config(const std::string& path);

} // namespace trap::server

#endif
