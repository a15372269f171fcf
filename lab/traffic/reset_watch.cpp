// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/reset_watch.h"

#include <array>
#include <iterator>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace trap::lab {
namespace {

constexpr std::uint32_t rst_flag = 0x04;
constexpr std::uint32_t ancillary = static_cast<std::uint32_t>(SKF_AD_OFF);

// Offsets count from the IP header: the socket is of type SOCK_DGRAM. IPv6 is taken without
// extension headers, as TRAP and Linux send it.
sock_filter resets_received[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ancillary + SKF_AD_PKTTYPE),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 12, 0),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ancillary + SKF_AD_PROTOCOL),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 5, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 9),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 7),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
    BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 40),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, rst_flag, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, 0),
    BPF_STMT(BPF_RET | BPF_K, 64),
};

// A raw IPv4 socket's filter sees the packet from its IP header on, an IPv6 one's from the TCP
// header on.
sock_filter resets_behind_ipv4[] = {
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, rst_flag, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 64),
    BPF_STMT(BPF_RET | BPF_K, 0),
};
sock_filter resets_behind_ipv6[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, rst_flag, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 64),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

std::uint64_t drain(const Fd& socket) {
  std::uint64_t packets = 0;
  for (std::array<std::uint8_t, 64> packet{};
       socket && recv(socket.get(), packet.data(), packet.size(), MSG_DONTWAIT) > 0;)
    packets++;
  return packets;
}

} // namespace

// The filter is in place before the socket is bound, so that it never sees anything else.
Result<ResetWatch> ResetWatch::start(const Host& host) {
  const InHost inside{host};
  Fd socket{::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const sock_fprog program{std::size(resets_received), resets_received};
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
  if (!inside.entered() || !socket ||
      setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error{"cannot watch " + host.name() + " for resets: " + error_text(errno)};
  return ResetWatch{std::move(socket)};
}

// A raw socket gets the packets that the stack gets.
Result<ResetWatch> ResetWatch::start_at_stack(const Host& host) {
  const InHost inside{host};
  Fd ipv4{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP)};
  Fd ipv6{::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP)};
  const sock_fprog of_ipv4{std::size(resets_behind_ipv4), resets_behind_ipv4};
  const sock_fprog of_ipv6{std::size(resets_behind_ipv6), resets_behind_ipv6};
  if (!inside.entered() || !ipv4 || !ipv6 ||
      setsockopt(ipv4.get(), SOL_SOCKET, SO_ATTACH_FILTER, &of_ipv4, sizeof of_ipv4) != 0 ||
      setsockopt(ipv6.get(), SOL_SOCKET, SO_ATTACH_FILTER, &of_ipv6, sizeof of_ipv6) != 0)
    return Error{"cannot watch the stack of " + host.name() + " for resets: " + error_text(errno)};
  ResetWatch watch{std::move(ipv4), std::move(ipv6)};
  drain(watch.socket_); // what came before the filters were there
  drain(watch.second_);
  return watch;
}

std::uint64_t ResetWatch::count() {
  return drain(socket_) + drain(second_);
}

} // namespace trap::lab
