// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/ping.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/packet/segment.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds interval{200};

constexpr std::uint8_t identifier[] = {0x54, 0x52};
constexpr std::size_t identifier_at = 4, echo_bytes = 8; // RFC 792, RFC 4443

Result<Fd> open_towards(const Host& host, Family family, const std::string& address) {
  const InHost inside{host};
  sockaddr_storage storage{};
  storage.ss_family = family == Family::ipv4 ? AF_INET : AF_INET6;
  void* const bytes = family == Family::ipv4
                          ? static_cast<void*>(&reinterpret_cast<sockaddr_in&>(storage).sin_addr)
                          : static_cast<void*>(&reinterpret_cast<sockaddr_in6&>(storage).sin6_addr);
  inet_pton(storage.ss_family, address.c_str(), bytes);
  Fd socket{::socket(storage.ss_family, SOCK_RAW | SOCK_CLOEXEC,
                     family == Family::ipv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6})};
  const socklen_t length = family == Family::ipv4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (!inside.entered() || !socket ||
      connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0)
    return Error{"cannot ping " + address + ": " + error_text(errno)};
  return socket;
}

// The kernel fills in the checksum of ICMPv6, which covers a source that is not known here.
void send_request(const Fd& socket, Family family, std::string_view address,
                  std::uint16_t sequence) {
  const trap_address to = *parse_address(std::string{address});
  const Bytes request = build_transport(IcmpMessage{
      .from = to,
      .to = to,
      .type = family == Family::ipv4 ? std::uint8_t{ICMP_ECHO} : std::uint8_t{ICMP6_ECHO_REQUEST},
      .body = {identifier[0], identifier[1], static_cast<std::uint8_t>(sequence >> 8),
               static_cast<std::uint8_t>(sequence)}});
  [[maybe_unused]] const ssize_t sent = send(socket.get(), request.data(), request.size(), 0);
}

// A raw IPv4 socket delivers the IP header too. The socket is connected, so the packet is from the
// right host.
bool is_reply(Family family, const std::uint8_t* packet, std::size_t bytes) {
  const std::size_t header = family == Family::ipv4 && bytes > 0 ? (packet[0] & 0xfu) * 4 : 0;
  if (bytes < header + echo_bytes)
    return false;
  const std::uint8_t* const echo = packet + header;
  return echo[0] == (family == Family::ipv4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
         std::equal(std::begin(identifier), std::end(identifier), echo + identifier_at);
}

bool reply_within(const Fd& socket, Family family, milliseconds time) {
  for (const auto until = Clock::now() + time; Clock::now() < until;) {
    pollfd waiting{socket.get(), POLLIN, 0};
    poll(&waiting, 1,
         static_cast<int>(std::chrono::duration_cast<milliseconds>(until - Clock::now()).count()));
    std::array<std::uint8_t, 1500> packet{};
    const ssize_t bytes = recv(socket.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (bytes > 0 && is_reply(family, packet.data(), static_cast<std::size_t>(bytes)))
      return true;
  }
  return false;
}

} // namespace

Result<void> ping(const Host& host, Family family, std::string_view address,
                  milliseconds deadline) {
  const auto socket = open_towards(host, family, std::string{address});
  if (!socket)
    return socket.error();
  std::uint16_t sequence = 0;
  for (const auto until = Clock::now() + deadline;
       Clock::now() < until && sleep_for(milliseconds{0});) {
    send_request(*socket, family, address, ++sequence);
    if (reply_within(*socket, family, interval))
      return {};
  }
  return Error{std::string{address} + " does not answer echo requests"};
}

} // namespace trap::lab
