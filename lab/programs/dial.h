// SPDX-License-Identifier: Apache-2.0
// Connections as programs make them that want something of the sockets: each asks a web server for
// a document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

struct Manner {
  bool non_blocking = false;     // connect() returns at once; the rest by poll()
  bool fast_open = false;        // the request goes with the SYN where that is possible
  bool multipath = false;        // an MPTCP socket
  bool reset_at_end = false;     // close() sends a RST
  bool only_hears = false;       // sends no request: reads the server's first words and closes
  std::size_t request_bytes = 0; // at least, filled up with header lines
  std::uint16_t source_port =
      0;                   // bound, with SO_REUSEADDR, before connecting; 0: the system's choice
  std::uint32_t mark = 0;  // SO_MARK, for routes by mark
  uid_t user = 0;          // to whom the socket belongs, for routes by user
  int patience_ms = 15000; // of each call
  int hears_for_ms = 0;    // recv() instead
  // Options of the socket that change its SYN, or the way that it goes.
  bool fast_open_connect = false; // TCP_FASTOPEN_CONNECT: the SYN leaves with the first bytes
  bool is_signed = false;         // TCP-MD5
  bool ip_options = false;        // a time stamp of each router; over IPv6 options that are padding
  bool late_port = false;         // bound without a port, which connect() chooses
  bool transparent = false;       // IP_TRANSPARENT
  bool short_lived = false;       // a hop limit that ends at the first router
  bool mapped = false;            // IPv4 by an IPv6 socket
  bool fragments = false;         // may be cut on its way: IP_PMTUDISC_DONT
  bool restored = false;          // the request leaves by a socket that TCP_REPAIR has made
  int traffic_class = 0;          // IP_TOS, IPV6_TCLASS
  std::string_view interface = {}; // SO_BINDTODEVICE
};

struct Reply {
  std::string peer; // getpeername(): address and port
  std::string text; // header and body
};

// One connect, one request (HTTP/1.0), everything up to the end. An error says which call failed.
Result<Reply> dial(const Host& host, std::string_view address, int port, std::string_view path,
                   const Manner& manner);

} // namespace trap::lab
