// SPDX-License-Identifier: Apache-2.0
// Every key of docs/protocol.md 5, from the master or from a guard's secret.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "protocol/siphash.h"

namespace trap {

// 32 secret bytes, wiped when they go.
struct Secret {
  std::array<std::uint8_t, 32> bytes = {};

  Secret() = default;
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret();
};

// 1 to 63 of a-z, 0-9, '.', '-'.
bool is_guard_name(const std::string& name);

Secret derive_guard_secret(const Secret& master, const std::string& guard_name);
trap_key derive_cookie_key(const Secret& master, std::uint64_t epoch);
trap_key derive_selector_key(const Secret& master);
trap_key derive_ticket_key(const Secret& guard_secret, std::uint64_t epoch);
trap_key derive_announce_key(const Secret& guard_secret, std::uint64_t epoch);

} // namespace trap
