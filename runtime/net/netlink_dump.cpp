// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/netlink_dump.h"

#include <cerrno>
#include <vector>

namespace trap {
namespace {

constexpr std::size_t buffer_bytes = 65536; // no message of a list is longer

// The family stands first in every body, and no body is longer: zero is every family.
struct Request {
  nlmsghdr header;
  ifinfomsg body;
};

struct Progress {
  bool complete = false;
  int error = 0;
};

Progress read_some(const Fd& socket, std::vector<char>& buffer,
                   const std::function<bool(const nlmsghdr&)>& visit) {
  const ssize_t got = recv(socket.get(), buffer.data(), buffer.size(), MSG_TRUNC);
  if (got < 0 || static_cast<std::size_t>(got) > buffer.size())
    return {.error = got < 0 ? errno : EMSGSIZE};
  auto left = static_cast<unsigned>(got);
  for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
       header = NLMSG_NEXT(header, left)) {
    if (header->nlmsg_flags & NLM_F_DUMP_INTR)
      return {.error = EAGAIN};
    if (header->nlmsg_type == NLMSG_DONE)
      return {.complete = true};
    if (header->nlmsg_type == NLMSG_ERROR)
      return {.error = EIO};
    if (!visit(*header))
      return {.complete = true};
  }
  return {};
}

} // namespace

int visit_dump(std::uint16_t request, const std::function<void(const nlmsghdr&)>& visit,
               unsigned char family) {
  Request message = {};
  message.header.nlmsg_len = sizeof(message);
  message.header.nlmsg_type = request;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.body.ifi_family = family;
  return visit_dump_until(NETLINK_ROUTE, message.header, [&](const nlmsghdr& header) {
    visit(header);
    return true;
  });
}

int visit_dump_until(int protocol, const nlmsghdr& request,
                     const std::function<bool(const nlmsghdr&)>& visit) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket ||
      send(socket.get(), &request, request.nlmsg_len, 0) != static_cast<ssize_t>(request.nlmsg_len))
    return errno;
  std::vector<char> buffer(buffer_bytes);
  Progress progress;
  while (!progress.complete && progress.error == 0)
    progress = read_some(socket, buffer, visit);
  return progress.error;
}

void ask_one(const nlmsghdr* request, const std::function<void(const nlmsghdr&)>& visit) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  std::vector<char> buffer(buffer_bytes);
  if (socket && send(socket.get(), request, request->nlmsg_len, 0) ==
                    static_cast<ssize_t>(request->nlmsg_len))
    read_some(socket, buffer, [&](const nlmsghdr& header) {
      visit(header);
      return true;
    });
}

Fd watch_groups(std::uint32_t groups) {
  Fd watch(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (watch && bind(watch.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return Fd();
  return watch;
}

bool drain(const Fd& watch) {
  char message[4096];
  bool any = false;
  while (recv(watch.get(), message, sizeof(message), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
    any = true;
  return any;
}

} // namespace trap
