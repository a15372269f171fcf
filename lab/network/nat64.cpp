// SPDX-License-Identifier: Apache-2.0
#include "lab/network/nat64.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <unistd.h>

#include "lab/network/tunnel.h"

namespace trap::lab {
namespace {

using Octets = std::vector<std::uint8_t>;

constexpr std::size_t octets_most = 65536, prefix_bytes = 12, tcp_least = 20, checksum_at = 16;
constexpr int wake_ms = 100; // how soon the thread notices that it is to end
constexpr std::uint8_t hops = 60;

struct Ends {
  std::array<std::uint8_t, 16> prefix{}, ipv6{};
  std::array<std::uint8_t, 4> ipv4{};
};

std::uint32_t sum_of(const std::uint8_t* bytes, std::size_t count) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < count; i++)
    sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 ? 0 : 8);
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

void put_checksum(std::uint8_t* at, std::uint32_t sum) {
  const std::uint16_t checksum = static_cast<std::uint16_t>(~fold(sum));
  at[0] = static_cast<std::uint8_t>(checksum >> 8);
  at[1] = static_cast<std::uint8_t>(checksum);
}

// The sum stays what it was, right or wrong, but for the addresses.
void mend_checksum(Octets& segment, std::uint32_t sum_before, std::uint32_t sum_after) {
  std::uint8_t* at = segment.data() + checksum_at;
  const std::uint32_t rest = static_cast<std::uint16_t>(~((at[0] << 8) | at[1]));
  put_checksum(at, rest + sum_after + static_cast<std::uint16_t>(~fold(sum_before)));
}

std::optional<Octets> to_ipv4(const Octets& in, const Ends& ends) {
  ip6_hdr from;
  if (in.size() < sizeof(from) + tcp_least)
    return std::nullopt;
  std::memcpy(&from, in.data(), sizeof(from));
  if (from.ip6_nxt != IPPROTO_TCP || std::memcmp(&from.ip6_src, ends.ipv6.data(), 16) != 0 ||
      std::memcmp(&from.ip6_dst, ends.prefix.data(), prefix_bytes) != 0)
    return std::nullopt;
  Octets segment(in.begin() + sizeof(from), in.end());
  const std::uint8_t* remote = in.data() + 24 + prefix_bytes;
  mend_checksum(segment, sum_of(in.data() + 8, 32),
                sum_of(ends.ipv4.data(), 4) + sum_of(remote, 4));
  iphdr to{};
  to.version = 4;
  to.ihl = 5;
  to.tos = static_cast<std::uint8_t>(ntohl(from.ip6_flow) >> 20);
  to.tot_len = htons(static_cast<std::uint16_t>(sizeof(to) + segment.size()));
  to.frag_off = htons(IP_DF);
  to.ttl = hops;
  to.protocol = IPPROTO_TCP;
  std::memcpy(&to.saddr, ends.ipv4.data(), 4);
  std::memcpy(&to.daddr, remote, 4);
  Octets out(sizeof(to));
  std::memcpy(out.data(), &to, sizeof(to));
  put_checksum(out.data() + 10, sum_of(out.data(), out.size()));
  out.insert(out.end(), segment.begin(), segment.end());
  return out;
}

std::optional<Octets> to_ipv6(const Octets& in, const Ends& ends) {
  iphdr from;
  if (in.size() < sizeof(from) + tcp_least)
    return std::nullopt;
  std::memcpy(&from, in.data(), sizeof(from));
  if (from.ihl != 5 || from.protocol != IPPROTO_TCP ||
      std::memcmp(&from.daddr, ends.ipv4.data(), 4) != 0)
    return std::nullopt;
  Octets segment(in.begin() + sizeof(from), in.end());
  ip6_hdr to{};
  to.ip6_flow = htonl(0x60000000U | static_cast<std::uint32_t>(from.tos) << 20);
  to.ip6_plen = htons(static_cast<std::uint16_t>(segment.size()));
  to.ip6_nxt = IPPROTO_TCP;
  to.ip6_hlim = hops;
  std::memcpy(&to.ip6_src, ends.prefix.data(), prefix_bytes);
  std::memcpy(to.ip6_src.s6_addr + prefix_bytes, &from.saddr, 4);
  std::memcpy(&to.ip6_dst, ends.ipv6.data(), 16);
  Octets out(sizeof(to));
  std::memcpy(out.data(), &to, sizeof(to));
  mend_checksum(segment, sum_of(in.data() + 12, 8), sum_of(out.data() + 8, 32));
  out.insert(out.end(), segment.begin(), segment.end());
  return out;
}

void translate_one(int device, const Ends& ends) {
  Octets in(octets_most);
  const ssize_t got = read(device, in.data(), in.size());
  if (got <= 0)
    return;
  in.resize(static_cast<std::size_t>(got));
  const auto out = in[0] >> 4 == 6 ? to_ipv4(in, ends) : to_ipv6(in, ends);
  if (out) {
    [[maybe_unused]] const ssize_t written = write(device, out->data(), out->size());
  }
}

void translate(const std::stop_token& stop, int device, const Ends& ends) {
  while (!stop.stop_requested()) {
    pollfd ready{device, POLLIN, 0};
    if (poll(&ready, 1, wake_ms) > 0)
      translate_one(device, ends);
  }
}

Ends ends_of(const Nat64Plan& plan) {
  Ends ends;
  inet_pton(AF_INET6, plan.prefix.c_str(), ends.prefix.data());
  inet_pton(AF_INET6, plan.ipv6.c_str(), ends.ipv6.data());
  inet_pton(AF_INET, plan.ipv4.c_str(), ends.ipv4.data());
  return ends;
}

} // namespace

Nat64::Nat64(Fd device, const Nat64Plan& plan)
    : device_(std::move(device)),
      translator_([fd = device_.get(), ends = ends_of(plan)](const std::stop_token& stop) {
        translate(stop, fd, ends);
      }) {}

Result<Nat64> Nat64::start(const Host& host, const Nat64Plan& plan) {
  auto device = open_tun(host, plan.interface);
  if (!device)
    return device.error();
  if (auto done = host.ip(fmt::format("link set {0} up\nroute add {1}/96 dev {0}\n"
                                      "route add {2}/32 dev {0}\n",
                                      plan.interface, plan.prefix, plan.ipv4));
      !done)
    return done.error();
  return Nat64{std::move(*device), plan};
}

} // namespace trap::lab
