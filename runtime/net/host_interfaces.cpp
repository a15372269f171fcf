// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/host_interfaces.h"

#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/epoll.h>

#include "runtime/net/netlink_dump.h"

namespace trap {
namespace {

constexpr int list_attempts = 5; // at a list during which nothing changes

Error links_error(const char* what, int error_number) {
  return Error{fmt::format("cannot {} this host's interfaces: {}", what, error_text(error_number))};
}

std::string text_of(const rtattr& attribute) {
  const auto* text = static_cast<const char*>(RTA_DATA(&attribute));
  return {text, strnlen(text, RTA_PAYLOAD(&attribute))};
}

HostInterface interface_of(const nlmsghdr& header) {
  ifinfomsg info;
  std::memcpy(&info, NLMSG_DATA(const_cast<nlmsghdr*>(&header)), sizeof(info));
  HostInterface interface;
  interface.index = static_cast<unsigned>(info.ifi_index);
  interface.type = info.ifi_type;
  interface.is_up = (info.ifi_flags & IFF_UP) != 0;
  interface.is_loopback = (info.ifi_flags & IFF_LOOPBACK) != 0;
  bool lower_is_elsewhere = false;
  visit_attributes_of<ifinfomsg>(header, [&](const rtattr& attribute) {
    if (attribute.rta_type == IFLA_LINK && RTA_PAYLOAD(&attribute) == sizeof(interface.lower))
      std::memcpy(&interface.lower, RTA_DATA(&attribute), sizeof(interface.lower));
    if (attribute.rta_type == IFLA_LINK_NETNSID)
      lower_is_elsewhere = true;
    if (attribute.rta_type == IFLA_IFNAME)
      interface.name = text_of(attribute);
    if (attribute.rta_type == IFLA_MASTER && RTA_PAYLOAD(&attribute) == sizeof(interface.master))
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
  if (lower_is_elsewhere)
    interface.lower = 0;
  return interface;
}

} // namespace

Result<std::vector<HostInterface>> list_interfaces() {
  std::vector<HostInterface> interfaces;
  int failed = EAGAIN;
  for (int attempt = 0; failed == EAGAIN && attempt < list_attempts; attempt++) {
    interfaces.clear();
    failed = visit_dump(RTM_GETLINK, [&](const nlmsghdr& header) {
      if (header.nlmsg_type == RTM_NEWLINK && header.nlmsg_len >= NLMSG_LENGTH(sizeof(ifinfomsg)))
        interfaces.push_back(interface_of(header));
    });
  }
  if (failed)
    return links_error("list", failed);
  return interfaces;
}

Result<InterfaceWatch> InterfaceWatch::make() {
  InterfaceWatch watch;
  watch.socket_ = watch_groups(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
  if (!watch.socket_)
    return links_error("watch", errno);
  return watch;
}

bool InterfaceWatch::drain() {
  return trap::drain(socket_);
}

Result<void> InterfaceWatch::join(int epoll_fd) const {
  epoll_event readable = {};
  readable.events = EPOLLIN;
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, socket_.get(), &readable) != 0)
    return links_error("watch", errno);
  return {};
}

} // namespace trap
