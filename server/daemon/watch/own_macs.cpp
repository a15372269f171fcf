// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/own_macs.h"

#include <cerrno>
#include <cstring>
#include <optional>

#include <fmt/core.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <net/if_arp.h>

#include "runtime/net/netlink_dump.h"

namespace trap::server {
namespace {

constexpr int list_attempts = 5; // at a list during which nothing changes
constexpr int multipliers = 256; // that are tried
constexpr std::uint64_t first_multiplier = 0x9e3779b97f4a7c15, next_multiplier = 0xbf58476d1ce4e5b9;

std::optional<LinkAddress> mac_in(const rtattr& attribute) {
  LinkAddress mac;
  if (RTA_PAYLOAD(&attribute) != mac.size())
    return std::nullopt;
  std::memcpy(mac.data(), RTA_DATA(const_cast<rtattr*>(&attribute)), mac.size());
  return mac;
}

template <class Body> Body body_of(const nlmsghdr& header) {
  Body body;
  std::memcpy(&body, NLMSG_DATA(const_cast<nlmsghdr*>(&header)), sizeof(body));
  return body;
}

void add_interface(std::set<LinkAddress>& macs, const nlmsghdr& header) {
  if (header.nlmsg_type != RTM_NEWLINK || header.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg)))
    return;
  const auto link = body_of<ifinfomsg>(header);
  if (link.ifi_type != ARPHRD_ETHER || (link.ifi_flags & IFF_LOOPBACK) != 0)
    return;
  visit_attributes_of<ifinfomsg>(header, [&](const rtattr& attribute) {
    const auto mac = attribute.rta_type == IFLA_ADDRESS ? mac_in(attribute) : std::nullopt;
    if (mac)
      macs.insert(*mac);
  });
}

// Permanent entries without a way to elsewhere: what an interface or a bridge takes for itself.
void add_filter_entry(std::set<LinkAddress>& macs, const nlmsghdr& header) {
  if (header.nlmsg_type != RTM_NEWNEIGH || header.nlmsg_len < NLMSG_LENGTH(sizeof(ndmsg)) ||
      (body_of<ndmsg>(header).ndm_state & NUD_PERMANENT) == 0)
    return;
  std::optional<LinkAddress> mac;
  bool is_elsewhere = false;
  visit_attributes_of<ndmsg>(header, [&](const rtattr& attribute) {
    if (attribute.rta_type == NDA_LLADDR)
      mac = mac_in(attribute);
    is_elsewhere = is_elsewhere || attribute.rta_type == NDA_DST;
  });
  if (mac && !is_elsewhere && ((*mac)[0] & 1) == 0)
    macs.insert(*mac);
}

std::uint64_t number_of(const LinkAddress& mac) {
  std::uint64_t number = 0;
  std::memcpy(&number, mac.data(), mac.size());
  return number;
}

bool place(std::uint64_t mac, trap_own_mac_table& table) {
  for (__u64& taken : table.macs[trap_own_mac_bucket(mac, table.multiplier)]) {
    if (taken != 0)
      continue;
    taken = mac | TRAP_OWN_MAC_TAKEN;
    return true;
  }
  return false;
}

} // namespace

Result<std::set<LinkAddress>> list_own_macs() {
  std::set<LinkAddress> macs;
  int failed = EAGAIN;
  for (int attempt = 0; failed == EAGAIN && attempt < list_attempts; attempt++) {
    macs.clear();
    failed = visit_dump(RTM_GETLINK, [&](const nlmsghdr& header) { add_interface(macs, header); });
    if (!failed)
      failed = visit_dump(
          RTM_GETNEIGH, [&](const nlmsghdr& header) { add_filter_entry(macs, header); }, AF_BRIDGE);
  }
  if (failed)
    return Error{fmt::format("cannot list this host's Ethernet addresses: {}", error_text(failed))};
  return macs;
}

bool lay_out(const std::set<LinkAddress>& macs, trap_own_mac_table& table) {
  std::uint64_t multiplier = first_multiplier;
  for (int attempt = 0; attempt < multipliers; attempt++, multiplier *= next_multiplier) {
    table = {};
    table.multiplier = multiplier;
    bool fits = true;
    for (auto mac = macs.begin(); fits && mac != macs.end(); ++mac)
      fits = place(number_of(*mac), table);
    if (fits)
      return true;
  }
  return false;
}

void OwnMacs::follow(trap_own_macs& map, const Result<std::set<LinkAddress>>& listed) {
  if (listed && known_ && macs_ == *listed)
    return;
  const __u64 active = __atomic_load_n(&map.active, __ATOMIC_RELAXED);
  const __u64 next = active == 1 ? 2 : 1;
  macs_ = listed ? *listed : std::set<LinkAddress>();
  known_ = listed && lay_out(macs_, map.tables[next - 1]);
  __atomic_store_n(&map.active, known_ ? next : 0, __ATOMIC_RELEASE);
  problem_ =
      known_
          ? ""
          : fmt::format("frames for other hosts' Ethernet addresses are answered, too: {}",
                        listed ? fmt::format("this host has too many of its own ({})", macs_.size())
                               : listed.error().message);
}

} // namespace trap::server
