// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/frame.h"

#include <string>

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

namespace trap::lab {

trap_address address_from(std::string_view text) {
  return *parse_address(std::string{text});
}

Bytes frame_to(const HostAddresses& host, const Segment& segment,
               const std::vector<VlanTag>& tags) {
  return build_frame({.destination = host.mac(), .source = host.router_mac(), .tags = tags},
                     segment);
}

Bytes frame_to(const HostAddresses& host, const IcmpMessage& message) {
  return build_frame({.destination = host.mac(), .source = host.router_mac()}, message);
}

Result<FrameSocket> FrameSocket::open(const Host& router, std::string_view towards) {
  const InHost inside{router};
  Fd socket{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(std::string{towards}.c_str()));
  if (!inside.entered() || !socket || address.sll_ifindex == 0 ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error{"no packet socket on the router's interface " + std::string{towards} + ": " +
                 error_text(errno)};
  return FrameSocket{std::move(socket)};
}

Result<void> FrameSocket::send(const Bytes& frame) const {
  if (::send(socket_.get(), frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size()))
    return Error{"cannot send a frame: " + error_text(errno)};
  return {};
}

} // namespace trap::lab
