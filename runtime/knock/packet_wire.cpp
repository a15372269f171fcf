// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstring>
#include <iterator>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include "runtime/fd.h"
#include "runtime/knock/knock_wire.h"
#include "runtime/nanoseconds.h"

namespace trap {
namespace {

constexpr std::uint32_t ancillary_offset = static_cast<std::uint32_t>(SKF_AD_OFF);

int filter(int fd, sock_filter* program, std::size_t length) {
  const sock_fprog wanted = {.len = static_cast<unsigned short>(length), .filter = program};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &wanted, sizeof(wanted));
}

// TCP from or to the port, in either direction; without IPv6 extension headers, as TRAP and Linux
// send it.
int see_our_port(int fd, trap_family family, std::uint16_t port) {
  sock_filter v4[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ancillary_offset + SKF_AD_PROTOCOL),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 8),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 6),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 2, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  sock_filter v6[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ancillary_offset + SKF_AD_PROTOCOL),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 7),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 5),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 40),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 2, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 42),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  return family == TRAP_IPV4 ? filter(fd, v4, std::size(v4)) : filter(fd, v6, std::size(v6));
}

std::int64_t timestamp_of(const msghdr& message) {
  for (const cmsghdr* at = CMSG_FIRSTHDR(&message); at;
       at = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(at))) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SO_TIMESTAMPNS)
      continue;
    timespec when;
    std::memcpy(&when, CMSG_DATA(at), sizeof(when));
    return when.tv_sec * std::int64_t{ns_per_s} + when.tv_nsec;
  }
  return 0;
}

class PacketWire : public KnockWire {
public:
  explicit PacketWire(Fd socket) : socket_(std::move(socket)) {}

  int event_fd() const override { return socket_.get(); }

  std::vector<Sighting> take() override {
    std::vector<Sighting> sightings;
    for (;;) {
      std::uint8_t packet[256];
      sockaddr_ll link = {};
      alignas(cmsghdr) char control[128];
      iovec data = {packet, sizeof(packet)};
      msghdr message = {.msg_name = &link,
                        .msg_namelen = sizeof(link),
                        .msg_iov = &data,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control),
                        .msg_flags = 0};
      const ssize_t got = recvmsg(socket_.get(), &message, MSG_DONTWAIT);
      if (got < 0)
        return sightings;
      if (const auto segment = read_packet(packet, static_cast<std::size_t>(got)))
        sightings.push_back({*segment, link.sll_pkttype == PACKET_OUTGOING, timestamp_of(message)});
    }
  }

private:
  Fd socket_;
};

} // namespace

Result<std::unique_ptr<KnockWire>> open_packet_wire(trap_family family, std::uint16_t port) {
  Fd fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
               0)); // protocol 0: nothing before the filter is there
  const int on = 1;
  sockaddr_ll everywhere = {};
  everywhere.sll_family = AF_PACKET;
  everywhere.sll_protocol = TRAP_BE16(ETH_P_ALL);
  if (!fd || see_our_port(fd.get(), family, port) != 0 ||
      setsockopt(fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&everywhere), sizeof(everywhere)) != 0)
    return Error{fmt::format("cannot open a packet socket: {}{}", error_text(errno),
                             errno == EPERM || errno == EACCES ? ": grant CAP_NET_RAW" : "")};
  return std::unique_ptr<KnockWire>(std::make_unique<PacketWire>(std::move(fd)));
}

} // namespace trap
