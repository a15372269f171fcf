// SPDX-License-Identifier: Apache-2.0
// Questions to the kernel by netlink: lists of interfaces, addresses and routes, or one neighbour.
#pragma once

#include <cstdint>
#include <functional>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap {

// Visits the attributes of one message, or of an attribute that holds others.
template <class Visit>
void visit_attributes(const rtattr* first, std::size_t bytes, const Visit& visit) {
  auto left = static_cast<unsigned>(bytes);
  for (const rtattr* at = first; RTA_OK(at, left); at = RTA_NEXT(const_cast<rtattr*>(at), left))
    visit(*at);
}

// The attributes behind a message's body.
template <class Body, class Visit>
void visit_attributes_of(const nlmsghdr& header, const Visit& visit) {
  const auto* body = static_cast<const char*>(NLMSG_DATA(const_cast<nlmsghdr*>(&header)));
  const std::size_t begin = NLMSG_ALIGN(sizeof(Body));
  if (header.nlmsg_len >= NLMSG_LENGTH(begin))
    visit_attributes(reinterpret_cast<const rtattr*>(body + begin),
                     header.nlmsg_len - NLMSG_LENGTH(begin), visit);
}

// Visits the messages that answer `request` (RTM_GETLINK, ...) about all families, or one. The
// errno is EAGAIN if the list changed meanwhile.
int visit_dump(std::uint16_t request, const std::function<void(const nlmsghdr&)>& visit,
               unsigned char family = AF_UNSPEC);

// The same for a request of any netlink protocol (NETLINK_XFRM, ...), until the visitor returns
// false: it has seen enough.
int visit_dump_until(int protocol, const nlmsghdr& request,
                     const std::function<bool(const nlmsghdr&)>& visit);

// Sends a request for one thing and visits what answers it; nothing if there is no such thing.
void ask_one(const nlmsghdr* request, const std::function<void(const nlmsghdr&)>& visit);

// A socket that is readable when something of `groups` (RTMGRP_*) happened since it was drained.
Fd watch_groups(std::uint32_t groups);

// True if there was something.
bool drain(const Fd& watch);

} // namespace trap
