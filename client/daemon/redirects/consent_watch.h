// SPDX-License-Identifier: Apache-2.0
// Tells the log of redirects whose target did not consent: else an administrator whose guards are
// of an older version sees slow or refused connections only.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

#include "runtime/config/endpoint.h"

namespace trap::client {

class ConsentWatch {
public:
  // For every second. A service and a target are told once while they are remembered.
  void tick(int counters_fd, int fallbacks_fd, std::uint64_t now_ns);

private:
  std::uint64_t refused_ = 0; // by the counter, at the last look
  std::set<std::pair<Endpoint, Endpoint>> told_;
};

} // namespace trap::client
