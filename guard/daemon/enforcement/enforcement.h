// SPDX-License-Identifier: Apache-2.0
// Does the program drop what it refuses? An instant in its settings says until when, so that it
// goes back to monitoring by itself unless it is confirmed, also without its daemon.
#pragma once

#include <cstdint>
#include <optional>

#include "guard/daemon/config/guard_config.h"
#include "guard/maps.h"
#include "runtime/result.h"

namespace trap::guard {

constexpr std::uint64_t confirm_max_s = 86400;

struct Enforcement {
  Mode mode = Mode::monitor;
  std::optional<std::uint64_t> confirm_within_s; // enforced for so long only, unless confirmed
};

Enforcement enforcement_of(const trap_guard_settings& settings, std::uint64_t monotonic_ns);

void set_mode(trap_guard_settings& settings, Mode mode);
void enforce_for(trap_guard_settings& settings, std::uint64_t seconds, std::uint64_t monotonic_ns);

// Makes a running trial last. An error if none runs, because it ran out or never began.
Result<void> confirm(trap_guard_settings& settings, std::uint64_t monotonic_ns);

// A command of the control socket: "enforce", then any of "force", "for" SECONDS,
// "operator" ADDRESS PORT.
struct EnforceRequest {
  bool force = false;
  std::optional<std::uint64_t> seconds;
  std::optional<Endpoint> operator_client; // whose connection is to the port:
  std::uint16_t operator_port = 0;
};

Result<EnforceRequest> parse_enforce(const std::vector<std::string>& words);

} // namespace trap::guard
