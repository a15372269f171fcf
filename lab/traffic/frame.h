// SPDX-License-Identifier: Apache-2.0
// Frames that no honest stack sends, put on a link of the lab through a packet socket. What a
// segment does not say is as it should be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "lab/hosts/addresses.h"
#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_psh = 0x08,
                              tcp_ack = 0x10, tcp_urg = 0x20;

// An IPv6 extension header: its whole bytes, of which the first (the type of the next header) is
// filled in.
struct Extension {
  std::uint8_t type = 0;
  Bytes bytes;
};

struct Segment {
  Family family = Family::ipv4;
  std::string source, destination;
  std::uint16_t source_port = 40000, destination_port = 80;
  std::uint32_t seq = 1, ack = 0;
  std::uint8_t flags = tcp_syn;
  Bytes options{}; // padded with zeros to whole words
  Bytes payload{};
  std::optional<std::uint8_t> data_offset{}; // in words
  std::vector<std::uint16_t> tags{};         // EtherTypes of VLAN tags, the outermost first
  Bytes ip_options{};                        // IPv4, whole words
  std::uint16_t fragment = 0;                // IPv4: flags and offset
  std::vector<Extension> extensions{};       // IPv6
  // A part of the TCP segment, as a fragment carries it; checksums are those of the whole.
  std::size_t part_from = 0, part_bytes = std::numeric_limits<std::size_t>::max();
  std::size_t cut_bytes = 0; // that the frame lacks at its end
};

// An ICMP or ICMPv6 error, sent to who sent the segment that it is about.
struct IcmpError {
  std::string reporter; // its source
  std::uint8_t type = 0, code = 0;
  std::uint32_t rest = 0; // of its header, such as an MTU
  Segment about;
};

// The frame as the router sends it to `place`.
Bytes frame_to(const HostAddresses& place, const Segment& segment);
Bytes frame_to(const HostAddresses& place, const IcmpError& error);

// The router's end of a host's link.
class FrameSocket {
public:
  static Result<FrameSocket> open(const Host& router, std::string_view towards);
  [[nodiscard]] Result<void> send(const Bytes& frame) const;

private:
  explicit FrameSocket(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

} // namespace trap::lab
