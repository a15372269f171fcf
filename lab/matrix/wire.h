// SPDX-License-Identifier: Apache-2.0
// The router's end of the TRAP host's link, for a client that is made of single frames: it sends
// them, and sees each field of those that come back.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/packet/segment.h"
#include "runtime/result.h"

namespace trap::lab {

// A frame that arrived, in host byte order.
struct Seen {
  MacAddress destination = {}, source = {};
  int vlan = -1;                    // its tag; -1: none
  int outer_vlan = -1;              // one of 802.1ad around it
  int priority = 0;                 // and the sum of those that tags say
  std::uint16_t identification = 0; // IPv4
  std::size_t ip_bytes = 0;         // of the IP header
  std::uint8_t hop_limit = 0, traffic_class = 0;
  bool fragments = false; // IPv4: routers may fragment it
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t flags = 0;
  std::uint16_t window = 0;
  Bytes options = {}, payload = {};
};

// How frames leave.
struct Sending {
  MacAddress source = {}, destination = {};
  int vlan = -1;                       // the tag; -1: none
  int outer_vlan = -1;                 // one of 802.1ad around it
  std::string_view interface = "trap"; // of the router's
};

class Wire {
public:
  static Result<Wire> open(const Host& router, const Sending& sending);

  // `traffic_class`, and the AE bit (RFC 9768) if `accurate_ecn`, are beyond Segment.
  [[nodiscard]] Result<void> send(const Segment& segment, std::uint8_t traffic_class = 0,
                                  bool accurate_ecn = false) const;

  // A whole frame, as it is.
  [[nodiscard]] Result<void> send(const Bytes& frame) const;

  // Several at once, with nothing of them delivered before the last is sent, as far as the kernel
  // allows.
  [[nodiscard]] Result<void> send_burst(const std::vector<Segment>& segments,
                                        std::uint8_t traffic_class) const;

  // The next segment from `server` to `client`; none if none comes in time.
  [[nodiscard]] std::optional<Seen> next(const Endpoint& server, const Endpoint& client,
                                         std::chrono::milliseconds patience) const;

private:
  [[nodiscard]] Bytes frame_of(const Segment& segment, std::uint8_t traffic_class,
                               bool accurate_ecn) const;
  Wire(Fd socket, const Sending& sending) : socket_(std::move(socket)), sending_(sending) {}
  Fd socket_;
  Sending sending_;
};

} // namespace trap::lab
