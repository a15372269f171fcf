// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/veth_peer.h"

#include <cstring>
#include <optional>
#include <string_view>

#include <linux/if_link.h>
#include <net/if.h>

#include "runtime/net/netlink_dump.h"

namespace trap::server {
namespace {

struct LinkQuestion {
  nlmsghdr header;
  ifinfomsg body;
  rtattr namespace_attribute;
  std::int32_t namespace_id;
};

struct Link {
  bool is_veth = false;
  unsigned peer = 0; // index
  std::optional<std::int32_t> peer_namespace;
  bool runs_program = false;
};

template <class Value> std::optional<Value> value_of(const rtattr& attribute) {
  Value value;
  if (RTA_PAYLOAD(&attribute) < sizeof(value))
    return std::nullopt;
  std::memcpy(&value, RTA_DATA(const_cast<rtattr*>(&attribute)), sizeof(value));
  return value;
}

template <class Visit> void visit_nested(const rtattr& attribute, const Visit& visit) {
  visit_attributes(static_cast<const rtattr*>(RTA_DATA(const_cast<rtattr*>(&attribute))),
                   RTA_PAYLOAD(&attribute), visit);
}

Link link_of(const nlmsghdr& header) {
  Link link;
  visit_attributes_of<ifinfomsg>(header, [&](const rtattr& attribute) {
    switch (attribute.rta_type & NLA_TYPE_MASK) {
    case IFLA_LINK:
      link.peer = value_of<unsigned>(attribute).value_or(0);
      return;
    case IFLA_LINK_NETNSID:
      link.peer_namespace = value_of<std::int32_t>(attribute);
      return;
    case IFLA_LINKINFO:
      visit_nested(attribute, [&](const rtattr& inner) {
        if (inner.rta_type == IFLA_INFO_KIND)
          link.is_veth =
              std::string_view(static_cast<const char*>(RTA_DATA(const_cast<rtattr*>(&inner))),
                               RTA_PAYLOAD(&inner))
                  .starts_with("veth");
      });
      return;
    case IFLA_XDP:
      visit_nested(attribute, [&](const rtattr& inner) {
        if (inner.rta_type != IFLA_XDP_ATTACHED)
          return;
        const auto mode = value_of<std::uint8_t>(inner);
        link.runs_program = mode == XDP_ATTACHED_DRV || mode == XDP_ATTACHED_MULTI;
      });
      return;
    default:
      return;
    }
  });
  return link;
}

std::optional<Link> ask_link(unsigned index, std::optional<std::int32_t> in_namespace) {
  LinkQuestion question = {};
  question.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg));
  question.header.nlmsg_type = RTM_GETLINK;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.body.ifi_index = static_cast<int>(index);
  if (in_namespace) {
    question.namespace_attribute = {RTA_LENGTH(sizeof(question.namespace_id)), IFLA_TARGET_NETNSID};
    question.namespace_id = *in_namespace;
    question.header.nlmsg_len = sizeof(question);
  }
  std::optional<Link> found;
  ask_one(&question.header, [&](const nlmsghdr& header) {
    if (header.nlmsg_type == RTM_NEWLINK)
      found = link_of(header);
  });
  return found;
}

} // namespace

VethPeer look_at_veth_peer(const std::string& interface) {
  const unsigned index = if_nametoindex(interface.c_str());
  const auto own = index == 0 ? std::nullopt : ask_link(index, std::nullopt);
  if (!own || !own->is_veth)
    return VethPeer::none;
  if (own->peer == 0 || (own->peer_namespace && *own->peer_namespace < 0))
    return VethPeer::unknown;
  const auto peer = ask_link(own->peer, own->peer_namespace);
  if (!peer)
    return VethPeer::unknown;
  return peer->runs_program ? VethPeer::ready : VethPeer::bare;
}

} // namespace trap::server
