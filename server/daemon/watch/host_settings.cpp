// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/host_settings.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include "runtime/fd.h"

namespace trap::server {
namespace {

constexpr std::size_t limit_bytes = 64;
constexpr unsigned ethernet_mtu = 1500;

int read_number(const std::string& entry) {
  auto text = read_file("/proc/sys/net/" + entry, limit_bytes, FileTrust::any);
  int value = -1;
  if (!text)
    return -1;
  auto [stop, failure] = std::from_chars(text->data(), text->data() + text->size(), value);
  return failure == std::errc() ? value : -1;
}

int read_setting(const char* name) {
  return read_number(fmt::format("ipv4/{}", name));
}

void require(std::vector<std::string>& problems, const char* name, int is, int wanted,
             const char* meaning) {
  if (is == wanted)
    return;
  const std::string state = is < 0 ? "cannot be read" : fmt::format("is {}", is);
  problems.push_back(fmt::format("net.ipv4.{0} {1}: {2}: run sysctl -w net.ipv4.{0}={3}", name,
                                 state, meaning, wanted));
}

} // namespace

HostSettings read_host_settings() {
  return {.tcp_syncookies = read_setting("tcp_syncookies"),
          .tcp_timestamps = read_setting("tcp_timestamps"),
          .tcp_sack = read_setting("tcp_sack"),
          .tcp_window_scaling = read_setting("tcp_window_scaling"),
          .tcp_ecn = read_setting("tcp_ecn")};
}

std::vector<std::string> problems_of(const HostSettings& settings, bool assigns) {
  std::vector<std::string> problems;
  if (assigns) {
    if (settings.tcp_syncookies <= 0)
      require(problems, "tcp_syncookies", settings.tcp_syncookies, 1,
              "the stack takes no handshakes from TRAP");
    return problems;
  }
  require(problems, "tcp_syncookies", settings.tcp_syncookies, 2,
          "listeners refuse clients whose SYN TRAP has answered");
  require(
      problems, "tcp_timestamps", settings.tcp_timestamps, 2,
      "served connections have no timestamps, window scaling or SACK, and are slow over long ways");
  return problems;
}

HopLimits read_hop_limits(const std::vector<std::string>& interfaces) {
  HopLimits limits;
  limits.ipv4 = read_setting("ip_default_ttl");
  limits.loopback_ipv6 = read_number("ipv6/conf/lo/hop_limit");
  if (!interfaces.empty())
    limits.ipv6 = read_number(fmt::format("ipv6/conf/{}/hop_limit", interfaces.front()));
  return limits;
}

unsigned smallest_mtu(const std::vector<std::string>& interfaces) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  unsigned smallest = 0;
  for (const std::string& name : interfaces) {
    ifreq request = {};
    std::strncpy(request.ifr_name, name.c_str(), sizeof(request.ifr_name) - 1);
    if (ioctl(any.get(), SIOCGIFMTU, &request) != 0 || request.ifr_mtu <= 0)
      continue;
    const auto mtu = static_cast<unsigned>(request.ifr_mtu);
    smallest = smallest == 0 ? mtu : std::min(smallest, mtu);
  }
  return smallest == 0 ? ethernet_mtu : smallest;
}

} // namespace trap::server
