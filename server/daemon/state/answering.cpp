// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/state/answering.h"

namespace trap::server {
namespace {

constexpr int always_cookies = 2; // of net.ipv4.tcp_syncookies

} // namespace

bool takes_kernel_cookies(const ServiceState& service, const HostState& host) {
  return host.settings.tcp_syncookies == always_cookies && service.sent_cookie;
}

const char* answerer_name(Answerer answerer) {
  switch (answerer) {
  case Answerer::own_cookies:
    return "own";
  case Answerer::kernel_cookies:
    return "kernel";
  default:
    return "stack";
  }
}

Answering choose_answering(const ServiceState& service, const HostState& host, bool offers) {
  if (service.facts.has_signatures)
    return {Answerer::stack, "its listener has TCP-MD5 or TCP-AO keys, and no cookie is signed"};
  if (service.facts.wants_near)
    return {Answerer::stack, "its listener refuses clients by their TTL (IP_MINTTL or "
                             "IPV6_MINHOPCOUNT), and TRAP does not look at it"};
  if (service.listener && service.listener->refuses && !offers)
    return {Answerer::stack, ""};
  if (host.settings.tcp_syncookies == 0) // it would be found out too, by lost clients
    return {Answerer::stack, "net.ipv4.tcp_syncookies is 0, with which the stack takes no "
                             "handshakes from TRAP: run sysctl -w net.ipv4.tcp_syncookies=1"};
  if (!service.in_vrf.empty()) // every segment behind the handshake would be dropped
    return {Answerer::stack, "interface " + service.in_vrf +
                                 " is in a VRF, where BPF programs do not find the connections of "
                                 "this host"};
  if (service.listener && service.listener->elsewhere && !offers)
    return {Answerer::stack,
            "its address is not on this host, which may lead clients on to another "
            "host or a container, but finds no listener for what TRAP completes"};
  if (host.loses_answers)
    return {Answerer::stack, "answers of XDP's do not leave this host: see the problem of the "
                             "interface; tried again every 10 minutes and at a reload"};
  if (service.at_best == Answerer::stack)
    return {Answerer::stack, service.shortfall};
  if (!host.assigns)
    return {Answerer::kernel_cookies, ""};
  if (service.at_best == Answerer::kernel_cookies)
    return takes_kernel_cookies(service, host)
               ? Answering{Answerer::kernel_cookies, service.shortfall}
               : Answering{Answerer::stack, service.shortfall};
  if (!service.facts.is_multipath)
    return {Answerer::own_cookies, ""};
  const std::string reason =
      "its listener is an MPTCP socket, which takes no handshake by TRAP's own cookies";
  if (host.settings.tcp_syncookies == always_cookies)
    return service.sent_cookie ? Answering{Answerer::kernel_cookies, reason}
                               : Answering{Answerer::stack, ""};
  return {Answerer::stack, reason + "; for the kernel's cookies run sysctl -w "
                                    "net.ipv4.tcp_syncookies=2"};
}

} // namespace trap::server
