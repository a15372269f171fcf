// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/listener_probe.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/core.h>
#include <sodium.h>

namespace trap::server {
namespace {

constexpr std::uint64_t every_ns = 1'000'000'000;
constexpr unsigned most_silent =
    3; // a listener whose queue is full is silent for a moment, and listens nevertheless
constexpr int most_reads = 64; // of one socket in one turn
constexpr std::uint16_t first_port = 32768;
constexpr std::uint16_t port_count = 28232; // Linux's own ephemeral range

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t bytes = 0;

  explicit SocketAddress(const trap_address& address) {
    if (family_of(address) == TRAP_IPV4) {
      sockaddr_in v4 = {};
      v4.sin_family = AF_INET;
      v4.sin_addr.s_addr = address.be32[3];
      bytes = sizeof(v4);
      std::memcpy(&storage, &v4, sizeof(v4));
    } else {
      sockaddr_in6 v6 = {};
      v6.sin6_family = AF_INET6;
      std::memcpy(&v6.sin6_addr, address.bytes, sizeof(v6.sin6_addr));
      bytes = sizeof(v6);
      std::memcpy(&storage, &v6, sizeof(v6));
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Lets through what comes from the listener's port to the probe's. The filter of a raw IPv4 socket
// sees the packet from its IP header on, that of an IPv6 one from the TCP header on.
int attach_filter(int fd, const Endpoint& listener, const ProbeSyn& syn) {
  const std::uint32_t ports = static_cast<std::uint32_t>(listener.port) << 16 | syn.source_port;
  sock_filter v4[] = {
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ports, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  sock_filter v6[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ports, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const bool is_v4 = family_of(listener.address) == TRAP_IPV4;
  const sock_fprog program = {
      .len = static_cast<unsigned short>(is_v4 ? std::size(v4) : std::size(v6)),
      .filter = is_v4 ? v4 : v6};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

Fd raw_socket(trap_family family) {
  return Fd(socket(family == TRAP_IPV4 ? AF_INET : AF_INET6,
                   SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
}

// A socket of the listener's address alone, to itself: the kernel offers it no other packet, and
// refuses an address that is not this host's, so that no SYN ever leaves for the network. What came
// before it was bound is thrown away. None, with errno, if that fails.
Fd probe_socket(const Endpoint& listener, const ProbeSyn& syn) {
  const SocketAddress address(listener.address);
  Fd fd = raw_socket(family_of(listener.address));
  if (!fd || bind(fd.get(), address.get(), address.bytes) != 0 ||
      connect(fd.get(), address.get(), address.bytes) != 0 ||
      attach_filter(fd.get(), listener, syn) != 0)
    return {};
  const int on = 1; // an IPv4 socket sees the header, an IPv6 one what it asks for
  for (const int field : {IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS})
    setsockopt(fd.get(), IPPROTO_IPV6, field, &on, sizeof(on));
  char thrown_away;
  for (int i = 0;
       i < most_reads && recv(fd.get(), &thrown_away, sizeof(thrown_away), MSG_DONTWAIT) >= 0;
       i++) {
  }
  return fd;
}

// What the IP header of an answer says.
struct IpFacts {
  int hop_limit = -1, traffic_class = -1;
};

IpFacts facts_of(msghdr& message, trap_family family, const std::uint8_t* packet) {
  if (family == TRAP_IPV4)
    return {packet[8], packet[1]};
  IpFacts facts;
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
    int value = -1;
    if (at->cmsg_level != IPPROTO_IPV6 || at->cmsg_len != CMSG_LEN(sizeof(value)))
      continue;
    std::memcpy(&value, CMSG_DATA(at), sizeof(value));
    if (at->cmsg_type == IPV6_HOPLIMIT)
      facts.hop_limit = value;
    else if (at->cmsg_type == IPV6_TCLASS)
      facts.traffic_class = value;
  }
  return facts;
}

// A raw IPv4 socket gives the packet from its IP header on, an IPv6 one from the TCP header on.
std::optional<HandshakeSegment> read_raw(const trap_address& address, const std::uint8_t* packet,
                                         std::size_t bytes) {
  return family_of(address) == TRAP_IPV4 ? read_packet(packet, bytes)
                                         : read_segment(address, address, packet, bytes);
}

} // namespace

Result<std::unique_ptr<ListenerProbe>> ListenerProbe::make() {
  if (!raw_socket(TRAP_IPV4))
    return Error{fmt::format(
        "cannot open a raw socket to probe listeners: {}: trap-server needs CAP_NET_RAW",
        error_text(errno))};
  return std::make_unique<ListenerProbe>();
}

void ListenerProbe::watch(const std::vector<Endpoint>& listeners) {
  std::erase_if(probes_, [&](const auto& entry) {
    return std::find(listeners.begin(), listeners.end(), entry.first) == listeners.end();
  });
  for (const Endpoint& listener : listeners)
    probes_.try_emplace(listener);
}

std::optional<ListenerAnswer> ListenerProbe::answer(const Endpoint& listener) const {
  auto at = probes_.find(listener);
  return at == probes_.end() ? std::nullopt : at->second.answer;
}

std::uint64_t ListenerProbe::answered_ns(const Endpoint& listener) const {
  auto at = probes_.find(listener);
  return at == probes_.end() ? 0 : at->second.answered_ns;
}

std::string ListenerProbe::problem(const Endpoint& listener) const {
  auto at = probes_.find(listener);
  return at == probes_.end() ? "" : at->second.problem;
}

void ListenerProbe::advance(std::uint64_t now_ns) {
  for (auto& [listener, probe] : probes_) {
    receive(listener, probe, now_ns);
    if (now_ns < probe.due_ns)
      continue;
    give_up(probe);
    probe.due_ns = now_ns + every_ns;
    send(listener, probe);
    receive(listener, probe,
            now_ns); // over loopback the answer is mostly there when sending returns
  }
}

void ListenerProbe::send(const Endpoint& listener, Probe& probe) {
  probe.syn = {.source_port =
                   static_cast<std::uint16_t>(first_port + randombytes_uniform(port_count)),
               .sequence = randombytes_random(),
               .timestamp = randombytes_random()};
  probe.socket = probe_socket(listener, probe.syn);
  if (!probe.socket) {
    const int reason = errno;
    const bool is_elsewhere = reason == EADDRNOTAVAIL;
    fail(probe, is_elsewhere
                    ? "the address is not on this host"
                    : fmt::format("cannot open a socket to probe it: {}", error_text(reason)));
    probe.answer->elsewhere = is_elsewhere;
    return;
  }
  const auto segment = build_probe(listener, probe.syn);
  if (::send(probe.socket.get(), segment.data(), segment.size(), MSG_DONTWAIT) < 0)
    fail(probe, fmt::format("cannot send to it over loopback: {}", error_text(errno)));
}

void ListenerProbe::receive(const Endpoint& listener, Probe& probe, std::uint64_t now_ns) {
  std::uint8_t packet[256]; // headers with options
  for (int i = 0; i < most_reads && probe.socket; i++) {
    iovec part = {.iov_base = packet, .iov_len = sizeof(packet)};
    alignas(cmsghdr) char control[128];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = recvmsg(probe.socket.get(), &message, MSG_DONTWAIT);
    if (got < 0)
      return;
    const auto bytes = static_cast<std::size_t>(got);
    ListenerAnswer answer;
    switch (read_reply(listener, probe.syn, read_raw(listener.address, packet, bytes), answer)) {
    case ProbeReply::none:
      continue;
    case ProbeReply::reset:
      fail(probe, "nobody listens");
      probe.answer->refuses = true;
      return;
    case ProbeReply::syn_ack: {
      const IpFacts facts = facts_of(message, family_of(listener.address), packet);
      answer.hop_limit = facts.hop_limit;
      answer.traffic_class = facts.traffic_class;
      probe.socket.reset();
      probe.silent = 0;
      probe.answered_ns = now_ns;
      probe.answer = answer;
      probe.problem.clear();
      return;
    }
    }
  }
}

// The next SYN is due: is the last one still without an answer?
void ListenerProbe::give_up(Probe& probe) {
  if (!probe.socket)
    return;
  probe.socket.reset();
  if (++probe.silent >= most_silent)
    fail(probe,
         fmt::format(
             "no answer to {} SYNs over loopback: is its queue full, or does a firewall drop them?",
             probe.silent));
}

void ListenerProbe::fail(Probe& probe, std::string problem) {
  probe.socket.reset();
  probe.answer = ListenerAnswer{};
  probe.problem = std::move(problem);
}

} // namespace trap::server
