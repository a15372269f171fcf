// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/plain_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/listening.h"

namespace trap::lab {
namespace {

constexpr timeval patience{10, 0};

Error failed(const char* call) {
  return Error{fmt::format("{}: {}", call, error_text(errno))};
}

Result<Fd> open_socket(const Host& host, int family, bool multipath) {
  const InHost inside{host};
  if (!inside.entered())
    return failed("setns");
  Fd fd{socket(family, SOCK_STREAM | SOCK_CLOEXEC, multipath ? IPPROTO_MPTCP : 0)};
  if (!fd)
    return failed("socket");
  const int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
    return failed("setsockopt");
  return fd;
}

Result<void> demand_signatures(const Fd& fd, std::string_view peer) {
  tcp_md5sig signature{};
  socklen_t length = 0;
  const sockaddr_storage address = socket_address(peer, 0, length);
  static_assert(sizeof signature.tcpm_addr == sizeof address);
  std::memcpy(&signature.tcpm_addr, &address, sizeof address);
  constexpr std::string_view key = "secret of two hosts of a lab";
  signature.tcpm_keylen = static_cast<__u16>(key.size());
  std::ranges::copy(key, signature.tcpm_key);
  if (setsockopt(fd.get(), IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof signature) != 0)
    return failed("TCP_MD5SIG");
  return {};
}

} // namespace

Result<Fd> listen_at(const Host& host, std::string_view address, int port,
                     const ListenerKind& kind) {
  socklen_t length = 0;
  const sockaddr_storage at = socket_address(address, port, length);
  auto fd = open_socket(host, at.ss_family, kind.multipath);
  if (!fd)
    return fd;
  if (!kind.signs_with.empty())
    if (auto done = demand_signatures(*fd, kind.signs_with); !done)
      return done.error();
  if (bind(fd->get(), reinterpret_cast<const sockaddr*>(&at), length) != 0)
    return failed("bind");
  if (listen(fd->get(), kind.backlog) != 0)
    return failed("listen");
  return fd;
}

Result<Fd> connect_from(const Host& host, std::string_view address, int port) {
  socklen_t length = 0;
  const sockaddr_storage to = socket_address(address, port, length);
  auto fd = open_socket(host, to.ss_family, false);
  if (fd && connect(fd->get(), reinterpret_cast<const sockaddr*>(&to), length) != 0)
    return failed("connect");
  return fd;
}

Result<Fd> accept_from(const Fd& listener) {
  Fd fd{accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!fd)
    return failed("accept");
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
    return failed("setsockopt");
  return fd;
}

Result<void> send_all(const Fd& connection, const std::string& text) {
  if (send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(text.size()))
    return failed("send");
  return {};
}

Result<void> send_last(const Fd& connection, const std::string& text) {
  if (send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_MORE) !=
      static_cast<ssize_t>(text.size()))
    return failed("send");
  if (shutdown(connection.get(), SHUT_WR) != 0)
    return failed("shutdown");
  return {};
}

Result<std::string> receive(const Fd& connection, std::size_t bytes) {
  std::string text(bytes, 0);
  const ssize_t got = recv(connection.get(), text.data(), text.size(), MSG_WAITALL);
  if (got < 0)
    return failed("recv");
  text.resize(static_cast<std::size_t>(got));
  return text;
}

bool ConnectionFacts::agrees_with(const ConnectionFacts& other) const {
  return options == other.options && their_scale == other.their_scale &&
         our_scale == other.our_scale;
}

Result<ConnectionFacts> facts_of(const Fd& connection) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(connection.get(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
    return failed("TCP_INFO");
  constexpr unsigned agreed = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE | TCPI_OPT_ECN;
  return ConnectionFacts{info.tcpi_min_rtt, info.tcpi_options & agreed, info.tcpi_snd_wscale,
                         info.tcpi_rcv_wscale, info.tcpi_snd_mss};
}

} // namespace trap::lab
