// SPDX-License-Identifier: Apache-2.0
// A second reading of frames, written from docs/packet-walk.md 1 and 3.5 and docs/protocol.md 3
// without the data plane's headers: the oracle's eyes.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace trap::walk {

using Bytes = std::vector<std::uint8_t>;
using Names = std::set<std::string>; // of verdicts

enum class Layer { other, tcp, defective };

// One end of a connection: an address of 4 or 16 bytes, and a port in host byte order.
struct End {
  Bytes address;
  unsigned port = 0;
  bool operator==(const End&) const = default;
};

struct Options {
  Bytes area;
  bool malformed = false;
  bool duplicate = false;
  int type = 0; // of the last TRAP option, 0: none
  Bytes body;   // of that option
  bool experimental = false;

  bool sound() const { return !malformed && !duplicate; }
};

struct Reading {
  Layer layer = Layer::other;
  // Every defect that the frame has as far as it can be read. Where it has several, the page does
  // not say which one counts.
  Names defects;
  // The page does not say whether a frame with this defect is TCP.
  bool is_perhaps_other = false;
  int family = 0; // 4, 6, or 0: no addresses were read
  bool has_ports = false;
  End source, destination;
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t flags = 0;
  std::size_t l3 = 0, l4 = 0; // from the frame's first byte
  std::size_t ip_end = 0;     // by the IP header
  std::size_t header_bytes = 0;
  Options options;
};

Reading read_frame(const Bytes& frame);

enum class Message { none, error, query, neighbour };

struct Icmp {
  Message message = Message::none;
  bool is_mapped = false; // an address of it, or of the packet that it quotes
  bool quotes_tcp = false;
  bool is_cut = false;     // it goes on in other fragments
  End source, destination; // of the quoted packet
};

// The frame was read as Layer::other.
Icmp read_icmp(const Bytes& frame);

} // namespace trap::walk
