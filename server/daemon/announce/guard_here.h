// SPDX-License-Identifier: Apache-2.0
// Announcements to this host's own addresses. The stack would deliver them by the loopback, where
// no guard listens, so the program of the guard that shares an interface is run on them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/config/endpoint.h"
#include "runtime/fd.h"

namespace trap::server {

class GuardHere {
public:
  // The XDP program of that guard now; none if no guard shares an interface.
  void follow(Fd program) { program_ = std::move(program); }

  // Other backends may be configured.
  void forget() { known_.clear(); }

  // Is the address of this host, and is there such a guard? Asks the routes, at most once a second.
  // now_ns: CLOCK_MONOTONIC.
  bool hears(const Endpoint& backend, std::uint64_t now_ns);

  // The packet begins with its IP header. 0 or an errno value.
  int tell(const std::vector<std::uint8_t>& packet) const;

  // A line for each backend of this host that announcements were for, while no guard hears them.
  std::vector<std::string> problems() const;

private:
  struct Own {
    bool is_own = false;
    std::uint64_t asked_ns = 0;
  };

  Fd program_;
  std::map<Endpoint, Own> known_;
};

} // namespace trap::server
