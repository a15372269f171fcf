// SPDX-License-Identifier: Apache-2.0
// Counters that the kernel's stack keeps for this network namespace (netstat -s).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace trap {

// As in ("Tcp", "PassiveOpens") or ("TcpExt", "ListenOverflows"); none if the kernel does not say.
std::optional<std::uint64_t> read_stack_counter(std::string_view group, std::string_view name);

} // namespace trap
