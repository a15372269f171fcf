// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/host_interfaces.h"

#include <cerrno>
#include <cstring>
#include <optional>

#include <fmt/core.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace trap {
namespace {

constexpr std::size_t buffer_bytes = 65536; // no message of a list is longer
constexpr int list_attempts = 5;            // at a list during which nothing changes

struct Request {
  nlmsghdr header;
  ifinfomsg body;
};

Error links_error(const char* what, int error_number) {
  return Error{fmt::format("cannot {} this host's interfaces: {}", what, error_text(error_number))};
}

std::string text_of(const rtattr& attribute) {
  const auto* text = static_cast<const char*>(RTA_DATA(&attribute));
  return {text, strnlen(text, RTA_PAYLOAD(&attribute))};
}

template <class Visit>
void visit_attributes(const rtattr* first, std::size_t bytes, const Visit& visit) {
  auto left = static_cast<unsigned>(bytes);
  for (const rtattr* at = first; RTA_OK(at, left); at = RTA_NEXT(const_cast<rtattr*>(at), left))
    visit(*at);
}

HostInterface interface_of(const nlmsghdr& header) {
  ifinfomsg info;
  std::memcpy(&info, NLMSG_DATA(&header), sizeof(info));
  HostInterface interface;
  interface.index = static_cast<unsigned>(info.ifi_index);
  interface.type = info.ifi_type;
  interface.is_up = (info.ifi_flags & IFF_UP) != 0;
  interface.is_loopback = (info.ifi_flags & IFF_LOOPBACK) != 0;
  visit_attributes(
      IFLA_RTA(NLMSG_DATA(&header)), IFLA_PAYLOAD(&header), [&](const rtattr& attribute) {
        if (attribute.rta_type == IFLA_IFNAME)
          interface.name = text_of(attribute);
        if (attribute.rta_type == IFLA_MASTER &&
            RTA_PAYLOAD(&attribute) == sizeof(interface.master))
          std::memcpy(&interface.master, RTA_DATA(&attribute), sizeof(interface.master));
        if ((attribute.rta_type & NLA_TYPE_MASK) != IFLA_LINKINFO)
          return;
        visit_attributes(static_cast<const rtattr*>(RTA_DATA(&attribute)), RTA_PAYLOAD(&attribute),
                         [&](const rtattr& inner) {
                           if (inner.rta_type == IFLA_INFO_KIND)
                             interface.kind = text_of(inner);
                           if (inner.rta_type == IFLA_INFO_SLAVE_KIND)
                             interface.slave_of = text_of(inner);
                         });
      });
  return interface;
}

// Reads one datagram of the list. True when the list is complete.
Result<bool> read_some(const Fd& socket, std::vector<char>& buffer,
                       std::vector<HostInterface>& interfaces) {
  const ssize_t got = recv(socket.get(), buffer.data(), buffer.size(), MSG_TRUNC);
  if (got < 0 || static_cast<std::size_t>(got) > buffer.size())
    return links_error("list", got < 0 ? errno : EMSGSIZE);
  auto left = static_cast<unsigned>(got);
  for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
       header = NLMSG_NEXT(header, left)) {
    if (header->nlmsg_flags & NLM_F_DUMP_INTR)
      return links_error("list", EAGAIN);
    if (header->nlmsg_type == NLMSG_DONE)
      return true;
    if (header->nlmsg_type == NLMSG_ERROR)
      return links_error("list", EIO);
    if (header->nlmsg_type == RTM_NEWLINK && header->nlmsg_len >= NLMSG_LENGTH(sizeof(ifinfomsg)))
      interfaces.push_back(interface_of(*header));
  }
  return false;
}

Result<std::vector<HostInterface>> list_once() {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  Request request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.ifi_family = AF_UNSPEC;
  if (!socket || send(socket.get(), &request, sizeof(request), 0) != sizeof(request))
    return links_error("list", errno);
  std::vector<char> buffer(buffer_bytes);
  std::vector<HostInterface> interfaces;
  for (;;) {
    auto complete = read_some(socket, buffer, interfaces);
    if (!complete)
      return complete.error();
    if (*complete)
      return interfaces;
  }
}

} // namespace

Result<std::vector<HostInterface>> list_interfaces() {
  auto interfaces = list_once();
  for (int attempt = 1; !interfaces && attempt < list_attempts; attempt++)
    interfaces = list_once();
  return interfaces;
}

Result<InterfaceWatch> InterfaceWatch::make() {
  InterfaceWatch watch;
  watch.socket_ = Fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl groups = {};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_LINK;
  if (!watch.socket_ ||
      bind(watch.socket_.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof(groups)) != 0)
    return links_error("watch", errno);
  return watch;
}

void InterfaceWatch::drain() {
  char message[4096];
  while (recv(socket_.get(), message, sizeof(message), 0) >= 0 || errno == ENOBUFS ||
         errno == EINTR) {
  }
}

} // namespace trap
