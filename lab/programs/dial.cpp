// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/dial.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/fsuid.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/addresses.h"
#include "lab/hosts/listening.h"
#include "lab/programs/repair.h"
#include "runtime/fd.h"

namespace trap::lab {
namespace {

Error failed(const char* call) {
  return Error{fmt::format("{}: {}", call, error_text(errno))};
}

bool set_option(int fd, int level, int name, const void* value, socklen_t bytes) {
  return setsockopt(fd, level, name, value, bytes) == 0;
}

bool set_option(int fd, int level, int name, int value) {
  return set_option(fd, level, name, &value, sizeof value);
}

bool sign(int fd, const sockaddr_storage& target) {
  tcp_md5sig key{};
  constexpr std::string_view secret = "lab";
  std::memcpy(&key.tcpm_addr, &target, sizeof target);
  key.tcpm_keylen = secret.size();
  std::ranges::copy(secret, key.tcpm_key);
  return set_option(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key);
}

// IPv4: time stamps (RFC 791), with room for one. IPv6: hop-by-hop options, six bytes of padding.
bool add_ip_options(int fd, bool is_v4) {
  const std::uint8_t ipv4[] = {68, 8, 5, 0, 0, 0, 0, 0}, ipv6[] = {0, 0, 1, 4, 0, 0, 0, 0};
  return is_v4 ? set_option(fd, IPPROTO_IP, IP_OPTIONS, ipv4, sizeof ipv4)
               : set_option(fd, IPPROTO_IPV6, IPV6_HOPOPTS, ipv6, sizeof ipv6);
}

Result<void> set_odd_options(int fd, const sockaddr_storage& target, const Manner& manner) {
  const bool is_v4 = target.ss_family == AF_INET;
  const int level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
  if (manner.fast_open_connect && !set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1))
    return failed("TCP_FASTOPEN_CONNECT");
  if (manner.is_signed && !sign(fd, target))
    return failed("TCP_MD5SIG");
  if (manner.ip_options && !add_ip_options(fd, is_v4))
    return failed("IP options");
  if (manner.late_port && !set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1))
    return failed("IP_BIND_ADDRESS_NO_PORT");
  if (manner.transparent && !set_option(fd, level, is_v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, 1))
    return failed("IP_TRANSPARENT");
  if (manner.short_lived && !set_option(fd, level, is_v4 ? IP_TTL : IPV6_UNICAST_HOPS, 1))
    return failed("IP_TTL");
  if (manner.fragments &&
      !set_option(fd, level, is_v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, IP_PMTUDISC_DONT))
    return failed("IP_MTU_DISCOVER");
  if (manner.traffic_class != 0 &&
      !set_option(fd, level, is_v4 ? IP_TOS : IPV6_TCLASS, manner.traffic_class))
    return failed("IP_TOS");
  if (!manner.interface.empty() &&
      !set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, manner.interface.data(),
                  static_cast<socklen_t>(manner.interface.size())))
    return failed("SO_BINDTODEVICE");
  return {};
}

timeval timeval_of(int ms) {
  return {ms / 1000, ms % 1000 * 1000};
}

Result<void> prepare(int fd, const sockaddr_storage& target, const Manner& manner) {
  const int on = 1;
  if (auto set = set_odd_options(fd, target, manner); !set)
    return set;
  if (manner.source_port != 0 || manner.late_port || manner.transparent) {
    sockaddr_storage here{};
    here.ss_family = target.ss_family; // any address
    const std::uint16_t port = htons(manner.source_port);
    if (here.ss_family == AF_INET)
      reinterpret_cast<sockaddr_in&>(here).sin_port = port;
    else
      reinterpret_cast<sockaddr_in6&>(here).sin6_port = port;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, reinterpret_cast<const sockaddr*>(&here),
             here.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)) != 0)
      return failed("bind");
  }
  if (manner.mark != 0 &&
      setsockopt(fd, SOL_SOCKET, SO_MARK, &manner.mark, sizeof manner.mark) != 0)
    return failed("SO_MARK");
  const linger at_once{1, 0};
  if (manner.reset_at_end && setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0)
    return failed("SO_LINGER");
  const timeval timeout = timeval_of(manner.patience_ms);
  const timeval hearing = manner.hears_for_ms != 0 ? timeval_of(manner.hears_for_ms) : timeout;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hearing, sizeof hearing) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0)
    return failed("SO_RCVTIMEO");
  return {};
}

Result<void> wait_for(int fd, short event, const Manner& manner) {
  pollfd ready{fd, event, 0};
  const int got = poll(&ready, 1, manner.patience_ms);
  if (got == 0)
    errno = ETIMEDOUT;
  if (got <= 0)
    return failed("poll");
  return {};
}

// Connects, and says how much of the request went along.
Result<std::size_t> reach(int fd, const sockaddr_storage& target, socklen_t length,
                          const std::string& request, const Manner& manner) {
  const auto* address = reinterpret_cast<const sockaddr*>(&target);
  if (manner.fast_open) {
    const ssize_t sent =
        sendto(fd, request.data(), request.size(), MSG_FASTOPEN | MSG_NOSIGNAL, address, length);
    if (sent < 0)
      return failed("sendto with MSG_FASTOPEN");
    return static_cast<std::size_t>(sent);
  }
  if (connect(fd, address, length) == 0)
    return std::size_t{0};
  if (!manner.non_blocking || errno != EINPROGRESS)
    return failed("connect");
  if (auto connected = wait_for(fd, POLLOUT, manner); !connected)
    return connected.error();
  socklen_t size = sizeof errno;
  int pending = 0;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &size);
  errno = pending;
  if (pending != 0)
    return failed("connect, by SO_ERROR");
  return std::size_t{0};
}

// A socket belongs to the user that its thread has for files while it is made.
Fd socket_of(const Manner& manner, int family) {
  const int self = setfsuid(manner.user);
  Fd fd{socket(family, SOCK_STREAM | SOCK_CLOEXEC | (manner.non_blocking ? SOCK_NONBLOCK : 0),
               manner.multipath ? IPPROTO_MPTCP : IPPROTO_TCP)};
  setfsuid(static_cast<uid_t>(self));
  return fd;
}

std::string peer_of(int fd) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  char text[INET6_ADDRSTRLEN] = "";
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0)
    return error_text(errno);
  if (peer.ss_family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(peer);
    inet_ntop(AF_INET, &ipv4.sin_addr, text, sizeof text);
    return endpoint(text, ntohs(ipv4.sin_port));
  }
  const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(peer);
  inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof text);
  return endpoint(text, ntohs(ipv6.sin6_port));
}

Result<std::string> read_all(int fd, const Manner& manner) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got == 0)
      return text;
    if (got > 0)
      text.append(buffer, static_cast<std::size_t>(got));
    else if (!manner.non_blocking || errno != EAGAIN)
      return failed("recv");
    else if (auto ready = wait_for(fd, POLLIN, manner); !ready)
      return ready.error();
  }
}

// Lines of a length that every web server takes.
std::string request_for(std::string_view path, std::size_t bytes) {
  constexpr std::size_t line_bytes = 4000;
  std::string request = fmt::format("GET {} HTTP/1.0\r\n", path);
  while (request.size() < bytes)
    request += fmt::format("X-Fill: {}\r\n", std::string(line_bytes, 'x'));
  return request + "\r\n";
}

Result<std::string> hear(int fd) {
  char buffer[512];
  const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
  if (got < 0)
    return failed("recv");
  return std::string(buffer, static_cast<std::size_t>(got));
}

} // namespace

Result<Reply> dial(const Host& host, std::string_view address, int port, std::string_view path,
                   const Manner& manner) {
  const InHost inside{host};
  socklen_t length = 0;
  const bool is_to_be_mapped = manner.mapped && address.find(':') == address.npos;
  const sockaddr_storage target = socket_address(
      is_to_be_mapped ? fmt::format("::ffff:{}", address) : std::string{address}, port, length);
  Fd fd = socket_of(manner, target.ss_family);
  if (!inside.entered() || !fd)
    return failed("socket");
  if (auto prepared = prepare(fd.get(), target, manner); !prepared)
    return prepared.error();
  const std::string request = request_for(path, manner.request_bytes);
  const auto sent = reach(fd.get(), target, length, request, manner);
  if (!sent)
    return sent.error();
  if (manner.restored) {
    auto restored = restore_connection(std::move(fd));
    if (!restored)
      return restored.error();
    fd = std::move(*restored);
  }
  Reply reply{peer_of(fd.get()), {}};
  if (manner.only_hears) {
    auto heard = hear(fd.get());
    if (!heard)
      return heard.error();
    reply.text = std::move(*heard);
    return reply;
  }
  if (*sent < request.size() &&
      send(fd.get(), request.data() + *sent, request.size() - *sent, MSG_NOSIGNAL) < 0)
    return failed("send");
  auto text = read_all(fd.get(), manner);
  if (!text)
    return text.error();
  reply.text = std::move(*text);
  return reply;
}

} // namespace trap::lab
