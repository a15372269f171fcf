// SPDX-License-Identifier: Apache-2.0
// trap-client's configuration file as a plain struct. No BPF here: the tests read configurations too.
#ifndef TRAP_CLIENT_DAEMON_CLIENT_CONFIG_H
#define TRAP_CLIENT_DAEMON_CLIENT_CONFIG_H

#include <string>

#include "runtime/part_config.h"

namespace trap::client {

struct ClientConfig {
  PartConfig part;
  bool allow_private_targets = false;
};

Result<ClientConfig> read_client_config(const std::string& path);

} // namespace trap::client

#endif
