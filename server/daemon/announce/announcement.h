// SPDX-License-Identifier: Apache-2.0
// The packet that tells a guard of a client (docs/protocol.md 9): a RST with ANNOUNCE, whole from
// the IP header on.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/siphash.h"
#include "runtime/config/endpoint.h"

namespace trap::server {

struct Announcement {
  trap_address source = {}; // one of those the guard was told are TRAP servers
  Endpoint backend;
  trap_address client = {}; // sent as it is; the MAC covers it masked to `scope`
  std::uint8_t scope = 0;
  std::uint8_t tag = 0;
  std::uint16_t lifetime_s = 0;
  std::uint32_t issued_s = 0; // Unix time
};

// All three addresses are of one family. `announce_key` is the guard's of the epoch of issued_s.
std::vector<std::uint8_t> build_announcement(const Announcement& announcement,
                                             const trap_key& announce_key, bool experimental_kind);

} // namespace trap::server
