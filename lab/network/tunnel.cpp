// SPDX-License-Identifier: Apache-2.0
#include "lab/network/tunnel.h"

#include <array>
#include <cstring>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace trap::lab {
namespace {

constexpr int poll_ms = 100; // how soon the carrier notices that it is to end

Result<Fd> open_end(const TunnelEnd& end) {
  const InHost inside{*end.host};
  Fd device{open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)};
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  end.interface.copy(request.ifr_name, IFNAMSIZ - 1);
  if (!inside.entered() || !device || ioctl(device.get(), TUNSETIFF, &request) != 0)
    return Error{"cannot make the tun interface " + end.interface + " on " + end.host->name() +
                 ": " + std::strerror(errno)};
  return device;
}

// An interface that is down takes no packet: it is lost, as on a wire.
void carry_one(int from, int to) {
  std::array<char, 65536> packet;
  const ssize_t bytes = read(from, packet.data(), packet.size());
  if (bytes > 0) [[maybe_unused]]
    const ssize_t written = write(to, packet.data(), static_cast<std::size_t>(bytes));
}

void carry(const std::stop_token& stop, int one, int other) {
  while (!stop.stop_requested()) {
    std::array<pollfd, 2> ends{{{one, POLLIN, 0}, {other, POLLIN, 0}}};
    if (poll(ends.data(), ends.size(), poll_ms) <= 0)
      continue;
    if (ends[0].revents & POLLIN)
      carry_one(one, other);
    if (ends[1].revents & POLLIN)
      carry_one(other, one);
  }
}

} // namespace

Tunnel::Tunnel(Fd one, Fd other)
    : one_(std::move(one)), other_(std::move(other)),
      carrier_(
          [a = one_.get(), b = other_.get()](const std::stop_token& stop) { carry(stop, a, b); }) {}

Result<Tunnel> Tunnel::dig(const TunnelEnd& one, const TunnelEnd& other) {
  auto near = open_end(one);
  if (!near)
    return near.error();
  auto far = open_end(other);
  if (!far)
    return far.error();
  return Tunnel{std::move(*near), std::move(*far)};
}

} // namespace trap::lab
