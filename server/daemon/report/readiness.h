// SPDX-License-Identifier: Apache-2.0
// Judges if a handshake can complete at a public address and lead somewhere.
#pragma once

#include <string>

namespace trap::server {

struct ReadinessFacts {
  bool attached = false; // the program is at an interface
  bool has_key = false;  // for the present epoch
  bool serves = false;   // unaware = "serve"
  bool serves_when_down = false;
  std::size_t backends =
      0; // of the default pool, to which clients go that no policy sends elsewhere
  std::size_t usable_backends = 0;
  std::string listener_problem; // of a service that serves
};

// Why clients get nowhere; empty if they do.
std::string unready_reason(const ReadinessFacts& facts);

// Where they get, as in "2 backends and this host".
std::string led_to(const ReadinessFacts& facts);

} // namespace trap::server
