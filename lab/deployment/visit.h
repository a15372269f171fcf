// SPDX-License-Identifier: Apache-2.0
// A download through the public address by a client with the module, and the counters that it must
// move.
#pragma once

#include <cstdint>
#include <string>

#include "lab/deployment/deployment.h"
#include "lab/hosts/addresses.h"
#include "lab/programs/curl.h"

namespace trap::lab {

// One exchange and the counters it moved.
struct Visit {
  Response response;
  Reading moved;
};

// The first visit goes through TRAP's handshake, a later one straight to the service.
enum class VisitKind { first, later };

struct ExpectedVisit {
  VisitKind kind;
  Family family;
  std::uint64_t bytes;
  bool server_flooded = false; // its SYN-ACKs say nothing then
};

// All of it arrived.
bool whole(const Response& response, std::uint64_t bytes);

// "" if the response is whole and took the way that it had to take, else one line.
std::string complaint(const ExpectedVisit& expected, const Reading& moved,
                      const Response& response);

} // namespace trap::lab
