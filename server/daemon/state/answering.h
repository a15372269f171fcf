// SPDX-License-Identifier: Apache-2.0
// The part that answers the SYNs of a service that serves, by what the host and the listener can
// do: TRAP with cookies of its own, TRAP with the kernel's, or the stack.
#pragma once

#include <optional>
#include <string>

#include "server/daemon/serving/listener_facts.h"
#include "server/daemon/serving/listener_probe.h"
#include "server/daemon/serving/shortfall.h"
#include "server/daemon/watch/default_route.h"
#include "server/daemon/watch/host_settings.h"
#include "server/maps.h"

namespace trap::server {

// The facts that decide a service's behaviour, beside its configuration.
struct ServiceState {
  std::optional<ListenerAnswer> listener = {}; // of a service that serves
  bool rests = false;                          // peace
  bool had_sockets = false;                    // it was served before: connections may live on
  trap_service earlier = {}; // what clients are told until the listener has answered
  ListenerFacts facts = {};
  bool sent_cookie =
      false; // a listener of these facts has, as the kernel wants before it takes any
  Answerer at_best = Answerer::own_cookies; // with what handshakes arrive, and if that is not
  std::string shortfall = {};               // the best, the reason
  std::string in_vrf = {}; // the interface in a VRF by which clients come; empty: none
  bool was_left = false; // lately, so that clients may be about to complete handshakes of the stack
};

struct HostState {
  HostSettings settings;
  unsigned mtu = 1500;  // the smallest of the interfaces
  bool assigns = false; // the stack makes sockets of TRAP's own cookies
  RouteWishes routes = {};
  HopLimits hop_limits = {};
  bool has_next_hops = false; // the map next_hops has entries
  bool loses_answers = false; // whatever XDP answers, no interface sends it
};

struct Answering {
  Answerer by = Answerer::own_cookies;
  std::string reason; // why it is not as the host allows; empty if it is, or the listener is down
};

// Does the listener take handshakes by the kernel's cookies?
bool takes_kernel_cookies(const ServiceState& service, const HostState& host);

// "own", "kernel", "stack".
const char* answerer_name(Answerer answerer);

// `offers`: clients that accept an offer are led to a backend, whether or not anything listens.
Answering choose_answering(const ServiceState& service, const HostState& host, bool offers);

} // namespace trap::server
