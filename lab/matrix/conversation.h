// SPDX-License-Identifier: Apache-2.0
// One conversation of a client that is made of single frames with a listener of the TRAP host, and
// all that either end could see of it, as fields that two conversations can be compared by.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lab/matrix/shapes.h"
#include "lab/matrix/wire.h"

namespace trap::lab {

enum class Course {
  usual,        // ACK, request, response
  at_once,      // the request completes the handshake: its bare ACK was lost
  last_word,    // the same, with a FIN
  banner,       // the server speaks first
  long_request, // of ten segments
  burst_of_one, // ACK and request in one go, as a card with interrupt moderation brings them
  burst_of_two, // the same with a request of two segments
  burst_of_ten,
  unaccepted, // the server accepts after it should have answered, as one that is stopped
  hangs_up,   // the server closes the connection as soon as it has it
  resets      // the same with SO_LINGER 0
};

using Fields = std::map<std::string, std::string, std::less<>>;

struct Talk {
  const Wire* wire;
  const Shape* shape;
  Endpoint client, server;
  std::vector<int> listeners = {}; // descriptors; none: nothing listens
  Course course = Course::usual;
  bool names_listener = false; // the one that gets the client is a field
};

// Never an error: what did not happen is a field too.
Fields converse(const Talk& talk);

} // namespace trap::lab
