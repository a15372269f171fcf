// SPDX-License-Identifier: Apache-2.0
// [[trust]] of the configuration: which services may redirect, and where to.
#pragma once

#include <string>
#include <vector>

#include "client/daemon/client_config.h"
#include "runtime/config/config_table.h"

namespace trap::client {

// "203.0.113.0/24", "203.0.113.10:443", "2001:db8::/32", "[2001:db8::/32]:443". Errors carry no
// place.
Result<TrustedService> parse_trusted_service(const std::string& text);

std::string format_trusted_service(const TrustedService& service);

// All [[trust]] of the file; `required`: there must be one.
std::vector<Trust> read_trusts(ConfigTable& table, bool required);

} // namespace trap::client
