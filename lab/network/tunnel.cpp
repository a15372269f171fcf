// SPDX-License-Identifier: Apache-2.0
#include "lab/network/tunnel.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <vector>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace trap::lab {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t packet_bytes = 65536;
constexpr int poll_ms = 100; // how soon the carrier notices that it is to end

struct Packet {
  int to;
  Clock::time_point due;
  std::vector<char> bytes;
};

void take_one(int from, int to, milliseconds delay, std::deque<Packet>& under_way) {
  std::vector<char> bytes(packet_bytes);
  const ssize_t got = read(from, bytes.data(), bytes.size());
  if (got <= 0)
    return;
  bytes.resize(static_cast<std::size_t>(got));
  under_way.push_back({to, Clock::now() + delay, std::move(bytes)});
}

// An interface that is down takes no packet: it is lost, as on a wire.
void deliver_due(std::deque<Packet>& under_way) {
  for (; !under_way.empty() && under_way.front().due <= Clock::now(); under_way.pop_front()) {
    const Packet& packet = under_way.front();
    [[maybe_unused]] const ssize_t written =
        write(packet.to, packet.bytes.data(), packet.bytes.size());
  }
}

int patience_ms(const std::deque<Packet>& under_way) {
  if (under_way.empty())
    return poll_ms;
  const auto left = std::chrono::ceil<milliseconds>(under_way.front().due - Clock::now());
  return static_cast<int>(std::clamp<long>(left.count(), 0, poll_ms));
}

void carry(const std::stop_token& stop, int one, int other, milliseconds delay) {
  std::deque<Packet> under_way; // all take the same time, so that they are due in order
  while (!stop.stop_requested()) {
    std::array<pollfd, 2> ends{{{one, POLLIN, 0}, {other, POLLIN, 0}}};
    if (poll(ends.data(), ends.size(), patience_ms(under_way)) > 0) {
      if (ends[0].revents & POLLIN)
        take_one(one, other, delay, under_way);
      if (ends[1].revents & POLLIN)
        take_one(other, one, delay, under_way);
    }
    deliver_due(under_way);
  }
}

} // namespace

Result<Fd> open_tun(const Host& host, const std::string& interface) {
  const InHost inside{host};
  Fd device{open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)};
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  if (!inside.entered() || !device || ioctl(device.get(), TUNSETIFF, &request) != 0)
    return Error{"cannot make the tun interface " + interface + " on " + host.name() + ": " +
                 std::strerror(errno)};
  return device;
}

Tunnel::Tunnel(Fd one, Fd other, milliseconds delay)
    : one_(std::move(one)), other_(std::move(other)),
      carrier_([a = one_.get(), b = other_.get(), delay](const std::stop_token& stop) {
        carry(stop, a, b, delay);
      }) {}

Result<Tunnel> Tunnel::dig(const TunnelEnd& one, const TunnelEnd& other, milliseconds delay) {
  auto near = open_tun(*one.host, one.interface);
  if (!near)
    return near.error();
  auto far = open_tun(*other.host, other.interface);
  if (!far)
    return far.error();
  return Tunnel{std::move(*near), std::move(*far), delay};
}

} // namespace trap::lab
