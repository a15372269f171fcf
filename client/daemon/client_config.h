// SPDX-License-Identifier: Apache-2.0
// trap-client's configuration file as a plain struct. No BPF here: the tests read configurations too.
#ifndef TRAP_CLIENT_DAEMON_CLIENT_CONFIG_H
#define TRAP_CLIENT_DAEMON_CLIENT_CONFIG_H

#include <cstdint>
#include <string>

#include "client/maps.h"
#include "runtime/part_config.h"

namespace trap::client {

struct ClientConfig {
  PartConfig part;
  bool allow_private_targets = false;
  std::uint32_t max_redirects = TRAP_CLIENT_REDIRECTS;
  std::uint32_t max_flows = TRAP_CLIENT_FLOWS;
};

Result<ClientConfig> read_client_config(const std::string& path);

} // namespace trap::client

#endif
