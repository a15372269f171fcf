// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/route_question.h"

#include <cstring>
#include <span>

#include <linux/fib_rules.h>
#include <sys/socket.h>

#include "runtime/net/netlink_dump.h"

namespace trap::server {
namespace {

struct Message {
  nlmsghdr header;
  rtmsg body;
  std::uint8_t attributes[2 * RTA_SPACE(sizeof(trap_address)) + 2 * RTA_SPACE(4)];
};

void add(Message& message, unsigned short type, const void* data, std::size_t bytes) {
  const rtattr attribute = {static_cast<unsigned short>(RTA_LENGTH(bytes)), type};
  auto* at = reinterpret_cast<std::uint8_t*>(&message) + NLMSG_ALIGN(message.header.nlmsg_len);
  std::memcpy(at, &attribute, sizeof(attribute));
  std::memcpy(at + RTA_LENGTH(0), data, bytes);
  message.header.nlmsg_len =
      static_cast<std::uint32_t>(NLMSG_ALIGN(message.header.nlmsg_len) + RTA_LENGTH(bytes));
}

void add(Message& message, unsigned short type, std::uint32_t value) {
  if (value != 0)
    add(message, type, &value, sizeof(value));
}

// The bytes of an address as routing tables have them.
std::span<const std::uint8_t> bytes_of(const trap_address& address) {
  const std::size_t bytes = trap_address_is_v4(&address) ? 4 : sizeof(address);
  return std::span{address.bytes}.last(bytes);
}

bool is_unspecified(const trap_address& address) {
  for (const std::uint8_t byte : bytes_of(address))
    if (byte != 0)
      return false;
  return true;
}

// Rules of every host look in the tables that every host has, whatever the packet.
bool is_usual(const nlmsghdr& header) {
  const auto* rule = static_cast<const fib_rule_hdr*>(NLMSG_DATA(const_cast<nlmsghdr*>(&header)));
  bool is_plain = rule->action == FR_ACT_TO_TBL && rule->src_len == 0 && rule->tos == 0 &&
                  rule->table != RT_TABLE_COMPAT &&
                  (rule->table == RT_TABLE_LOCAL || rule->table == RT_TABLE_MAIN ||
                   rule->table == RT_TABLE_DEFAULT);
  visit_attributes_of<fib_rule_hdr>(header, [&](const rtattr& attribute) {
    if (attribute.rta_type == FRA_FWMARK)
      is_plain = false;
  });
  return is_plain;
}

} // namespace

void ask_route(const RouteQuestion& question,
               const std::function<void(const nlmsghdr& header)>& visit) {
  const auto to = bytes_of(question.to), from = bytes_of(question.source.address);
  Message message = {};
  message.header.nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
  message.header.nlmsg_type = RTM_GETROUTE;
  message.header.nlmsg_flags = NLM_F_REQUEST;
  message.body.rtm_family = trap_address_is_v4(&question.to) ? AF_INET : AF_INET6;
  message.body.rtm_dst_len = static_cast<unsigned char>(to.size() * 8);
  message.body.rtm_flags = question.of_table ? RTM_F_FIB_MATCH : 0;
  add(message, RTA_DST, to.data(), to.size());
  if (!is_unspecified(question.source.address)) {
    message.body.rtm_src_len = message.body.rtm_dst_len;
    add(message, RTA_SRC, from.data(), from.size());
  }
  add(message, RTA_OIF, question.interface);
  add(message, RTA_MARK, question.source.mark);
  ask_one(&message.header, [&](const nlmsghdr& header) {
    if (header.nlmsg_type == RTM_NEWROUTE)
      visit(header);
  });
}

bool has_routing_rules() {
  bool any = false;
  for (const unsigned char family : {AF_INET, AF_INET6})
    visit_dump(
        RTM_GETRULE, [&](const nlmsghdr& header) { any = any || !is_usual(header); }, family);
  return any;
}

} // namespace trap::server
