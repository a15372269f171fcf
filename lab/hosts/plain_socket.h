// SPDX-License-Identifier: Apache-2.0
// Sockets at hosts of the lab, for scenarios that play both ends of a connection themselves. An
// error says which call failed; reads give up after ten seconds.
#pragma once

#include <string>
#include <string_view>

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

struct ListenerKind {
  int backlog = 64;
  bool multipath = false;        // an MPTCP socket
  std::string_view signs_with{}; // a peer whose segments must have TCP-MD5 signatures
};

Result<Fd> listen_at(const Host& host, std::string_view address, int port,
                     const ListenerKind& kind = {});
Result<Fd> connect_from(const Host& host, std::string_view address, int port);

// Takes a connection from the listener's queue, within the listener's ten seconds.
Result<Fd> accept_from(const Fd& listener);

Result<void> send_all(const Fd& connection, const std::string& text);
Result<std::string> receive(const Fd& connection, std::size_t bytes);

// Text and FIN in one segment.
Result<void> send_last(const Fd& connection, const std::string& text);

// The facts of a connection that its stack knows.
struct ConnectionFacts {
  std::uint32_t least_round_trip_us = 0;
  unsigned options = 0;                    // TCPI_OPT_..., of those that a handshake agrees on
  unsigned their_scale = 0, our_scale = 0; // of windows
  unsigned segment_bytes = 0;              // of the largest that it sends

  bool agrees_with(const ConnectionFacts& other) const; // all but the round trip
};

Result<ConnectionFacts> facts_of(const Fd& connection);

} // namespace trap::lab
