// SPDX-License-Identifier: Apache-2.0
// The one place in user space that lays out packets: a description becomes bytes whose lengths and
// checksums are right, unless the description asks for a defect. All addresses of a description are
// of one family.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "runtime/config/endpoint.h"

namespace trap {

using Bytes = std::vector<std::uint8_t>;
using MacAddress = std::array<std::uint8_t, 6>;

inline constexpr std::uint8_t tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_psh = 0x08,
                              tcp_ack = 0x10, tcp_urg = 0x20;
inline constexpr std::uint8_t usual_hop_limit = 64;
inline constexpr std::uint16_t usual_window = 64240;
inline constexpr std::uint16_t ipv4_dont_fragment = 0x4000, ipv4_more_fragments = 0x2000;

// Numbers in descriptions are in host byte order.

struct VlanTag {
  std::uint16_t type; // an EtherType
  std::uint16_t id;
};

struct Ethernet {
  MacAddress destination = {};
  MacAddress source = {};
  std::vector<VlanTag> tags = {}; // the outermost first
};

// An IPv6 extension header: all its bytes, of which the builder fills in the first, the type of the
// header that follows.
struct ExtensionHeader {
  std::uint8_t type;
  Bytes bytes;
};

// Fields of one family are ignored for packets of the other.
struct IpFields {
  std::uint8_t hop_limit = usual_hop_limit;
  std::uint16_t identification = 0;            // IPv4
  std::uint16_t fragment = ipv4_dont_fragment; // IPv4: flags, and the offset in 8-byte units
  Bytes options = {};                          // IPv4: whole words
  std::vector<ExtensionHeader> extensions = {};
  std::uint16_t checksum_damage = 0; // IPv4: XORed into the right checksum
};

// A TCP segment. A defect is a field of its own, and none by default.
struct Segment {
  Endpoint from, to;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint8_t flags = 0;
  std::uint16_t window = usual_window;
  Bytes options = {}; // padded with zeros to whole words; 40 bytes at most (see tcp_options.h)
  Bytes payload = {};
  IpFields ip = {};

  std::optional<std::uint8_t> data_offset = {}; // in words, instead of the right one
  std::uint16_t checksum_damage = 0;            // XORed into the right checksum
  // The bytes of the segment that the packet carries, as a fragment does. Checksums are those of
  // the whole segment.
  std::size_t part_from = 0;
  std::size_t part_bytes = std::numeric_limits<std::size_t>::max();
  std::size_t cut_bytes = 0; // missing at the end of the packet, in spite of its lengths
};

// A UDP datagram.
struct Datagram {
  Endpoint from, to;
  Bytes payload = {};
  IpFields ip = {};
  std::uint16_t checksum_damage = 0;
};

// An ICMP or ICMPv6 message, as the family demands. `body` follows the checksum.
struct IcmpMessage {
  trap_address from = {}, to = {};
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  Bytes body = {};
  IpFields ip = {};
};

// From the transport's header on.
Bytes build_transport(const Segment& segment);
Bytes build_transport(const Datagram& datagram);
Bytes build_transport(const IcmpMessage& message);

// From the IP header on.
Bytes build_packet(const Segment& segment);
Bytes build_packet(const Datagram& datagram);
Bytes build_packet(const IcmpMessage& message);

// From the Ethernet header on.
Bytes build_frame(const Ethernet& ethernet, const Segment& segment);
Bytes build_frame(const Ethernet& ethernet, const Datagram& datagram);
Bytes build_frame(const Ethernet& ethernet, const IcmpMessage& message);

// The error that `reporter` sends to the sender of `about` (RFC 792, RFC 4443). `rest` is the
// header's last word, such as an MTU. The error quotes the whole packet.
IcmpMessage icmp_error(const trap_address& reporter, std::uint8_t type, std::uint8_t code,
                       std::uint32_t rest, const Segment& about);

// Makes the checksums of an IP packet right after its fields were changed in place, without an
// allocation. The packet holds a whole TCP segment, no IPv4 option and no extension header.
void renew_checksums(std::span<std::uint8_t> packet);

} // namespace trap
