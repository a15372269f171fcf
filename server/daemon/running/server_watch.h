// SPDX-License-Identifier: Apache-2.0
// Keeps a trap-server to the present: five times a second health and attacks, every second clock,
// keys, attachments and the host's settings.
#pragma once

#include <cstdint>

#include "server/daemon/running/running_server.h"

namespace trap::server {

class ServerWatch {
public:
  static constexpr unsigned watch_tick_ms = 200;

  // `server` outlives this.
  explicit ServerWatch(RunningServer& server) : server_(server) {}

  void tick();

private:
  void renew_keys(std::uint64_t epoch);
  void tick_second();

  RunningServer& server_;
  std::uint64_t second_ns_ = 0; // when tick_second() ran last
};

} // namespace trap::server
