// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/answer_watch.h"

#include <array>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "runtime/packet/handshake.h"

namespace trap::lab {

Result<AnswerWatch> AnswerWatch::start(const Host& router, std::string_view towards) {
  const InHost inside{router};
  Fd socket{::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(std::string{towards}.c_str()));
  if (!inside.entered() || !socket || address.sll_ifindex == 0 ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error{"cannot watch the router's interface " + std::string{towards} + ": " +
                 error_text(errno)};
  return AnswerWatch{std::move(socket)};
}

std::optional<Bytes> AnswerWatch::next() const {
  constexpr int patience_ms = 1000;
  std::array<std::uint8_t, 2048> buffer{};
  for (pollfd waiting{socket_.get(), POLLIN, 0}; poll(&waiting, 1, patience_ms) == 1;) {
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const ssize_t bytes = recvfrom(socket_.get(), buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (bytes <= 0 || from.sll_pkttype == PACKET_OUTGOING)
      continue;
    const auto segment = read_packet(buffer.data(), static_cast<std::size_t>(bytes));
    if (segment && (segment->flags & (tcp_syn | tcp_ack)) == (tcp_syn | tcp_ack))
      return Bytes{buffer.begin(), buffer.begin() + bytes};
  }
  return std::nullopt;
}

bool has_right_checksums(const Bytes& packet) {
  Bytes right = packet;
  renew_checksums(right);
  return right == packet;
}

} // namespace trap::lab
