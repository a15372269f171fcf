// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/decapsulation.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <linux/lwtunnel.h>
#include <linux/xfrm.h>

#include "runtime/net/netlink_dump.h"

namespace trap {
namespace {

constexpr int times_as_long = 100;

// Those of conf/NAME/LEAF that are on. `default` is for interfaces to come.
std::vector<std::string> read_switches(const char* directory, const char* leaf) {
  std::vector<std::string> on;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed)) {
    const std::string name = entry.path().filename();
    int value = 0;
    if (name != "default" && (std::ifstream(entry.path() / leaf) >> value) && value > 0)
      on.push_back(name);
  }
  std::ranges::sort(on);
  return on;
}

template <class Value> std::optional<Value> content_of(const rtattr& attribute) {
  Value value;
  if (RTA_PAYLOAD(&attribute) < sizeof(value))
    return std::nullopt;
  std::memcpy(&value, RTA_DATA(const_cast<rtattr*>(&attribute)), sizeof(value));
  return value;
}

template <class Body> std::optional<Body> body_of(const nlmsghdr& header) {
  Body body;
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(body)))
    return std::nullopt;
  std::memcpy(&body, NLMSG_DATA(const_cast<nlmsghdr*>(&header)), sizeof(body));
  return body;
}

bool is_seg6local(const rtattr& attribute) {
  return attribute.rta_type == RTA_ENCAP_TYPE &&
         content_of<std::uint16_t>(attribute) == std::uint16_t{LWTUNNEL_ENCAP_SEG6_LOCAL};
}

bool has_seg6local(const rtattr& next_hops) {
  const auto* at = static_cast<const char*>(RTA_DATA(const_cast<rtattr*>(&next_hops)));
  std::size_t left = RTA_PAYLOAD(&next_hops);
  bool found = false;
  while (left >= sizeof(rtnexthop)) {
    rtnexthop hop;
    std::memcpy(&hop, at, sizeof(hop));
    if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
      break;
    visit_attributes(reinterpret_cast<const rtattr*>(at + sizeof(hop)), hop.rtnh_len - sizeof(hop),
                     [&](const rtattr& attribute) { found = found || is_seg6local(attribute); });
    const std::size_t whole = std::min<std::size_t>(RTNH_ALIGN(hop.rtnh_len), left);
    at += whole;
    left -= whole;
  }
  return found;
}

template <class Body> bool is_of_interface(const nlmsghdr& header) {
  bool is = false;
  visit_attributes_of<Body>(header, [&](const rtattr& attribute) {
    is = is || (attribute.rta_type == XFRMA_IF_ID &&
                content_of<std::uint32_t>(attribute).value_or(0) != 0);
  });
  return is;
}

std::string failure(const char* what, int failed) {
  return fmt::format("cannot list {}: {}", what, error_text(failed));
}

// Many routes may be there, and none of these.
std::optional<std::string> read_seg6local() {
  struct {
    nlmsghdr header;
    rtmsg body;
  } request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.rtm_family = AF_INET6;
  bool found = false;
  const int failed = visit_dump_until(NETLINK_ROUTE, request.header, [&](const nlmsghdr& header) {
    found = found || is_seg6local_route(header);
    return !found;
  });
  if (found)
    return "the host takes packets out of SRv6: it has routes to seg6local";
  if (failed && failed != EAGAIN) // a change meanwhile: what came is read a second later
    return failure("the host's IPv6 routes, of which some may be to seg6local", failed);
  return std::nullopt;
}

std::optional<std::string> read_ipsec() {
  for (const std::uint16_t type : {XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY}) {
    nlmsghdr request = {};
    request.nlmsg_len = sizeof(request);
    request.nlmsg_type = type;
    request.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    bool found = false;
    const int failed = visit_dump_until(NETLINK_XFRM, request, [&](const nlmsghdr& header) {
      found = found || is_ipsec_way(header);
      return !found;
    });
    if (found)
      return fmt::format("the host decrypts IPsec: it has {}", type == XFRM_MSG_GETSA
                                                                   ? "states (ip xfrm state)"
                                                                   : "policies (ip xfrm policy)");
    if (failed == EPROTONOSUPPORT) // a kernel without
      return std::nullopt;
    if (failed && failed != EAGAIN)
      return failure("the host's IPsec states", failed);
  }
  return std::nullopt;
}

} // namespace

bool is_seg6local_route(const nlmsghdr& header) {
  if (header.nlmsg_type != RTM_NEWROUTE)
    return false;
  bool found = false;
  visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
    found = found || is_seg6local(attribute) ||
            (attribute.rta_type == RTA_MULTIPATH && has_seg6local(attribute));
  });
  return found;
}

bool is_ipsec_way(const nlmsghdr& header) {
  if (header.nlmsg_type == XFRM_MSG_NEWSA)
    return body_of<xfrm_usersa_info>(header) && !is_of_interface<xfrm_usersa_info>(header);
  if (header.nlmsg_type != XFRM_MSG_NEWPOLICY)
    return false;
  const auto policy = body_of<xfrm_userpolicy_info>(header);
  if (!policy || (policy->dir != XFRM_POLICY_IN && policy->dir != XFRM_POLICY_FWD) ||
      policy->action != XFRM_POLICY_ALLOW)
    return false;
  bool decrypts = false;
  visit_attributes_of<xfrm_userpolicy_info>(header, [&](const rtattr& attribute) {
    decrypts = decrypts || attribute.rta_type == XFRMA_TMPL;
  });
  return decrypts && !is_of_interface<xfrm_userpolicy_info>(header);
}

void Decapsulation::refresh(Paced& paced, const Read& read) {
  const auto begin = Clock::now();
  if (begin < paced.next)
    return;
  paced.reason = read();
  const auto end = Clock::now();
  paced.next = end + (end - begin) * times_as_long;
}

std::vector<Uncovered> Decapsulation::look() {
  std::vector<Uncovered> found;
  if (const auto on = read_switches("/proc/sys/net/ipv6/conf", "seg6_enabled"); !on.empty())
    found.push_back({"seg6",
                     fmt::format("the host takes packets out of SRv6: seg6_enabled is set for {}",
                                 fmt::join(on, ", ")),
                     false});
  if (const auto on = read_switches("/proc/sys/net/mpls/conf", "input"); !on.empty())
    found.push_back({"mpls",
                     fmt::format("the host takes packets out of MPLS: input is set for {}",
                                 fmt::join(on, ", ")),
                     false});
  refresh(seg6local_, read_seg6local);
  if (seg6local_.reason)
    found.push_back({"seg6local", *seg6local_.reason, false});
  refresh(ipsec_, read_ipsec);
  if (ipsec_.reason)
    found.push_back({"ipsec", *ipsec_.reason, false});
  return found;
}

} // namespace trap
