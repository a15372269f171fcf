// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/listening.h"
#include "lab/hosts/process.h"

#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/time.h>

#include <fmt/format.h>

namespace trap::lab {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds start_deadline{10000};

} // namespace

bool connects(const Host& from, std::string_view address, int port, milliseconds within,
              std::string_view source) {
  const InHost inside{from};
  socklen_t length = 0;
  const sockaddr_storage target = socket_address(address, port, length);
  const Fd socket{::socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const timeval timeout{within.count() / 1000, within.count() % 1000 * 1000};
  if (!inside.entered() ||
      setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0)
    return false;
  if (!source.empty()) {
    const sockaddr_storage own = socket_address(source, 0, length);
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), length) != 0)
      return false;
  }
  return connect(socket.get(), reinterpret_cast<const sockaddr*>(&target), length) == 0;
}

sockaddr_storage socket_address(std::string_view address, int port, socklen_t& length) {
  sockaddr_storage storage{};
  const std::string text{address};
  if (address.find(':') == std::string_view::npos) {
    auto& ipv4 = reinterpret_cast<sockaddr_in&>(storage);
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, text.c_str(), &ipv4.sin_addr);
    length = sizeof ipv4;
  } else {
    auto& ipv6 = reinterpret_cast<sockaddr_in6&>(storage);
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET6, text.c_str(), &ipv6.sin6_addr);
    length = sizeof ipv6;
  }
  return storage;
}

Result<void> wait_until_accepting(const Host& host, std::string_view address, int port) {
  for (const auto until = Clock::now() + scale_timeout(start_deadline);
       !connects(host, address, port, start_deadline);)
    if (Clock::now() > until || !sleep_for(milliseconds{20}))
      return Error{
          fmt::format("{} does not accept connections at {} port {}", host.name(), address, port)};
  return {};
}

} // namespace trap::lab
