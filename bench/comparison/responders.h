// SPDX-License-Identifier: Apache-2.0
// Responders to a SYN flood: two floors, trap-server as it is deployed, and Linux's own defences.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/comparison/closed_loop.h"
#include "lab/deployment/daemons.h"

namespace trap::bench {

enum class Role { floor, trap, peer };

// What a responder has to do with a flood: TRAP_FLOOD_OTHER is silence. `verdict`: what TRAP counts
// for each of its packets.
struct Duty {
  trap_flood_answer answer;
  std::string verdict = {};
};

// What a responder holds while it stands: processes, sockets, programs.
struct Equipment {
  std::shared_ptr<void> held;
  std::shared_ptr<lab::Daemon> daemon; // TRAP's only
};

struct Responder {
  std::string name;
  Role role;
  std::map<FloodKind, Duty> duties;             // the floods in which it takes part
  std::function<Equipment(const Stand&)> equip; // throws if it cannot be had here
  std::string why_not_ipv6 = {};
};

std::vector<Responder> responders();

// SYNPROXY for port 80 in front of the host's own listener, as nft reads it, and why it has no part
// in IPv6.
std::string_view nft_synproxy_rules();
std::string_view nft_synproxy_why_not_ipv6();

// A listener on every address, port 80, in a host: the service that a responder protects.
std::shared_ptr<void> listen_in(const lab::Host& host);

// trap-server with these services, as TOML; keys and all that it needs are made.
std::shared_ptr<lab::Daemon> start_trap_server(const lab::Host& host, const std::string& services);

// trap-guard of port 80, with a key of its own.
std::shared_ptr<lab::Daemon> start_trap_guard(const lab::Host& host);

// One service at the public addresses whose clients are redirected, and one that this host serves.
std::string reset_service();
std::string served_service();

} // namespace trap::bench
