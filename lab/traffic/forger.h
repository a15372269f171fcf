// SPDX-License-Identifier: Apache-2.0
// Tickets and announcements as a TRAP server makes them, by an attacker with a guard's key file;
// and near misses that a forger may try.
#pragma once

#include <cstdint>
#include <string>

#include "lab/traffic/frame.h"
#include "runtime/keys/key_file.h"
#include "runtime/result.h"

namespace trap::lab {

struct ForgedTicket {
  std::string client;
  std::uint16_t port = 80;
  int epochs_ahead = 0; // of the present epoch
  int lifetime_s = 600; // from now; negative: over
  std::uint8_t tag = 0;
};

struct ForgedAnnouncement {
  std::string client;
  std::uint16_t port = 80;
  int issued_ahead_s = 0; // of now; negative: in the past
  int lifetime_s = 600;
  int scope = 0; // 0: as guards have it
};

class Forger {
public:
  static Result<Forger> with_key_of(std::string_view service_host);

  // The whole TCP option. Its ticket or MAC begins at byte 4.
  [[nodiscard]] Bytes ticket(const ForgedTicket& order) const;
  [[nodiscard]] Bytes announcement(const ForgedAnnouncement& order) const;

private:
  explicit Forger(GuardKey key) : key_(std::move(key)) {}
  GuardKey key_;
};

} // namespace trap::lab
