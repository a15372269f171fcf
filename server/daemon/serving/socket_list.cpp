// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/socket_list.h"

#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace trap::server {
namespace {

constexpr std::size_t buffer_bytes = 32768; // no message of a list is longer
constexpr unsigned every_socket_state = ~0U & ~(1U << TCP_LISTEN);

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

Error list_error(int error_number) {
  return {fmt::format("cannot list this host's TCP connections: {}: does the kernel have tcp_diag "
                      "(CONFIG_INET_TCP_DIAG)?",
                      error_text(error_number))};
}

HostConnection connection_of(const inet_diag_msg& message) {
  HostConnection connection;
  if (message.idiag_family == AF_INET)
    connection.remote = trap_address_v4(message.id.idiag_dst[0]);
  else
    std::memcpy(connection.remote.bytes, message.id.idiag_dst, sizeof(connection.remote.bytes));
  connection.remote_port = message.id.idiag_dport;
  connection.local_port = message.id.idiag_sport;
  return connection;
}

// The error in a message of type ERROR or DONE; 0: none.
int error_in(const nlmsghdr& header) {
  int error_number = 0;
  if (header.nlmsg_len >= NLMSG_LENGTH(sizeof(error_number)))
    std::memcpy(&error_number, NLMSG_DATA(&header), sizeof(error_number));
  return error_number < 0 ? -error_number : 0;
}

} // namespace

Result<void> SocketList::begin(std::uint16_t port) {
  socket_ = Fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!socket_)
    return list_error(errno);
  buffer_.resize(buffer_bytes);
  port_ = port;
  family_ = AF_INET;
  return ask();
}

Result<void> SocketList::ask() {
  Request request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = static_cast<__u8>(family_);
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = every_socket_state;
  request.body.id.idiag_sport = htons(port_);
  if (send(socket_.get(), &request, sizeof(request), 0) != sizeof(request))
    return list_error(errno);
  return {};
}

Result<bool> SocketList::advance(std::size_t most, const Visit& visit) {
  for (std::size_t visited = 0; visited < most;) {
    const ssize_t got = recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (got < 0 || static_cast<std::size_t>(got) > buffer_.size())
      return list_error(got < 0 ? errno : EMSGSIZE);
    auto left = static_cast<unsigned>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer_.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
        if (const int error_number = error_in(*header))
          return list_error(error_number);
        if (family_ == AF_INET6)
          return true;
        family_ = AF_INET6;
        if (auto asked = ask(); !asked)
          return asked.error();
        break;
      }
      if (header->nlmsg_flags & NLM_F_DUMP_INTR)
        return list_error(EAGAIN);
      inet_diag_msg message;
      if (header->nlmsg_len < NLMSG_LENGTH(sizeof(message)))
        continue;
      std::memcpy(&message, NLMSG_DATA(header), sizeof(message));
      visit(connection_of(message));
      visited++;
    }
  }
  return false;
}

} // namespace trap::server
