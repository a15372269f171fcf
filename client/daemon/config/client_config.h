// SPDX-License-Identifier: Apache-2.0
// trap-client's configuration file as a plain struct. No BPF here: the tests read configurations
// too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/maps.h"
#include "runtime/config/config_changes.h"
#include "runtime/config/part_config.h"
#include "runtime/config/prefix.h"

namespace trap::client {

// A service, or several, as a [[trust]] names them.
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
  PartConfig part = make_part_config("client"); // its interfaces: names and patterns
  std::vector<std::string> lan; // the hosts behind them have their connections taken as well
  bool allow_private_targets = false;
  std::uint32_t max_redirects = TRAP_CLIENT_REDIRECTS;
  std::uint32_t max_flows = TRAP_CLIENT_FLOWS;
  bool only_trusted = false;   // redirects of services that no trust names are not followed
  bool require_consent = true; // of targets that are not next door, or in a trust
  std::optional<Prefix> nat64; // the translator's; of 0 bits: there is none
  bool renew = true;
  std::vector<Trust> trusts;
};

// Every key that trap-client's configuration may have.
const Keys<ClientConfig>& client_keys();

Result<ClientConfig> read_client_config(const std::string& path);

} // namespace trap::client
