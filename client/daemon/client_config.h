// SPDX-License-Identifier: Apache-2.0
// trap-client's configuration file as a plain struct. No BPF here: the tests read configurations
// too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/maps.h"
#include "runtime/config/part_config.h"
#include "runtime/config/prefix.h"

namespace trap::client {

// A service, or several, as [[trust]] names them.
struct TrustedService {
  Prefix prefix;
  std::uint16_t port = 0; // 0: every port

  bool operator==(const TrustedService&) const = default;
};

struct Trust {
  std::vector<TrustedService> services;
  std::vector<Prefix> targets; // where these services may redirect
};

struct ClientConfig {
  PartConfig part;                 // its interfaces: names and patterns
  std::vector<std::string> lan;    // behind which are hosts whose connections are taken, too
  std::vector<std::string> except; // from what patterns match
  bool allow_private_targets = false;
  std::uint32_t max_redirects = TRAP_CLIENT_REDIRECTS;
  std::uint32_t max_flows = TRAP_CLIENT_FLOWS;
  bool only_trusted = false; // services that no trust names redirect nobody
  bool renew = true;
  std::vector<Trust> trusts;
};

Result<ClientConfig> read_client_config(const std::string& path);

} // namespace trap::client
