// SPDX-License-Identifier: Apache-2.0
// The [[service.policy]] tables of a service: the fate of clients, by the longest prefix that their
// address has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/config/key.h"
#include "server/daemon/config/client_prefix.h"

namespace trap::server {

enum class PolicyAction { pool, serve, deny };

struct PolicyRule {                          // one [[service.policy]]
  static constexpr std::int16_t no_tag = -1; // the backend's own

  PolicyAction action = PolicyAction::deny;
  std::string pool;                   // of action "pool"
  std::int16_t tag = no_tag;          // of the clients' tickets
  std::vector<ClientPrefix> prefixes; // those that the table lists itself
  std::string file;                   // of more prefixes, as the table names it
  std::string file_content = {};      // "117 prefixes, 9e3779b9": another file has another one
  unsigned line = 0;

  bool does_as(const PolicyRule& other) const {
    return action == other.action && pool == other.pool && tag == other.tag;
  }

  // The tag that it gives, if it gives one.
  std::optional<std::uint8_t> own_tag() const {
    return tag == no_tag ? std::nullopt : std::optional(static_cast<std::uint8_t>(tag));
  }
};

struct PolicyEntry {
  ClientPrefix prefix;
  std::uint32_t rule = 0; // index into `rules`

  bool operator==(const PolicyEntry&) const = default;
};

struct PolicyConfig {
  std::vector<PolicyRule> rules;
  std::vector<PolicyEntry> entries; // in the order of the addresses; no prefix is there twice
};

Keys<PolicyRule> policy_keys();

// Reads every policy of `service`; `tables` is the array that holds them. The same prefix with two
// actions is an error that names both places.
PolicyConfig read_policies(ConfigTable& service, const ConfigNode& tables);

} // namespace trap::server
