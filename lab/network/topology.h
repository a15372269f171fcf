// SPDX-License-Identifier: Apache-2.0
// The lab's hosts and how they are connected: every host has one link to the router, and the router
// has no way out. All addresses are of documentation prefixes (RFC 5737, RFC 3849), so none is
// private and none is anyone's.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "lab/hosts/host.h"
#include "lab/traffic/flood_packet.h"
#include "runtime/result.h"

namespace trap::lab {

enum class Family { ipv4 = 4, ipv6 = 6 };

inline constexpr Family families[] = {Family::ipv4, Family::ipv6};

std::string_view name_of(Family family);

// One host's place in the lab. `number` makes the MAC addresses of its link.
struct Place {
  std::string_view host;
  std::uint8_t number;
  std::string_view ipv4, ipv4_gateway;
  int ipv4_prefix;
  std::string_view ipv6, ipv6_gateway;

  [[nodiscard]] std::string_view address(Family family) const {
    return family == Family::ipv4 ? ipv4 : ipv6;
  }
};

// Every host but the router.
std::span<const Place> places();
const Place& place_of(std::string_view host);

// The TRAP host's second address, from which it speaks to the service hosts. The router lets nobody
// else use it.
inline constexpr std::string_view inner_ipv4 = "203.0.113.11", inner_ipv6 = "2001:db8:113::11";

// "192.0.2.2:80" or "[2001:db8:2::2]:80".
std::string endpoint(std::string_view address, int port);

// The lab, up. The destructor takes everything down again.
class Topology {
public:
  static Result<Topology> build();
  Topology(Topology&& other) noexcept;
  Topology& operator=(Topology&&) = delete;
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;
  ~Topology();

  [[nodiscard]] const Host& host(std::string_view name) const { return hosts_.find(name)->second; }

  // A veth delivers what an XDP program sends back only if its other end has one, too: gives the
  // router's end towards `host` one that passes everything, or takes it away, which gives the link
  // its segmentation offload back.
  [[nodiscard]] Result<void> attach_pass_program(std::string_view host) const;
  [[nodiscard]] Result<void> detach_pass_program(std::string_view host) const;

  static MacAddress host_mac(const Place& place) { return {0x02, 0, 0, 0, place.number, 0x02}; }
  static MacAddress router_mac(const Place& place) { return {0x02, 0, 0, 0, place.number, 0x01}; }

private:
  Topology() = default;
  Result<void> create_hosts();
  Result<void> connect();
  bool owner_ = true;
  std::map<std::string, Host, std::less<>> hosts_;
};

// The drawing that the demo opens with.
std::string_view topology_drawing();

} // namespace trap::lab
