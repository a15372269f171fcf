// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/runtime/http_client.h"

#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include <fmt/core.h>

#include "runtime/net/socket_address.h"

namespace trap::test {
namespace {

Fd connected(int domain, const sockaddr* address, socklen_t bytes) {
  Fd fd(socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience = {20, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  return fd && connect(fd.get(), address, bytes) == 0 ? std::move(fd) : Fd();
}

} // namespace

Fd connect_to_path(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return connected(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

Fd connect_to(const Endpoint& where) {
  const SocketAddress address(where, true);
  return connected(domain_of(family_of(where.address)), address.get(), address.bytes);
}

bool send_bytes(const Fd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

HttpReply read_reply(const Fd& fd) {
  std::string bytes;
  char part[4096];
  ssize_t got;
  while ((got = recv(fd.get(), part, sizeof(part), 0)) > 0)
    bytes.append(part, static_cast<std::size_t>(got));
  HttpReply reply;
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.1 ") || head_end == std::string::npos)
    return reply;
  reply.status = std::atoi(bytes.c_str() + 9);
  reply.head = bytes.substr(0, head_end + 2);
  reply.body = bytes.substr(head_end + 4);
  return reply;
}

HttpReply ask(const Fd& fd, const std::string& method, const std::string& target,
              const std::string& body) {
  send_bytes(fd, fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n{}", method, target,
                             body.empty() && method != "POST"
                                 ? ""
                                 : fmt::format("Content-Length: {}\r\n", body.size()),
                             body));
  return read_reply(fd);
}

} // namespace trap::test
