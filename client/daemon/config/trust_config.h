// SPDX-License-Identifier: Apache-2.0
// The [[trust]] tables of the configuration: the services that may redirect, and where to.
#pragma once

#include <string>
#include <vector>

#include "client/daemon/config/client_config.h"
#include "runtime/config/key.h"

namespace trap::client {

// "203.0.113.0/24", "203.0.113.10:443", "2001:db8::/32", "[2001:db8::/32]:443". Errors carry no
// place.
Result<TrustedService> parse_trusted_service(const std::string& text);

std::string format_trusted_service(const TrustedService& service);

Keys<Trust> trust_keys();

// Checks a [[trust]] that was read, and against those before it.
void check_trust(ConfigTable& table, Trust& read, const ClientConfig& config);

} // namespace trap::client
