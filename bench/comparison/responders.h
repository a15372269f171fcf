// SPDX-License-Identifier: Apache-2.0
// The responders to a SYN flood: floors, which do the least that a program can do, TRAP as it is
// deployed, and the other defences of Linux.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/comparison/closed_loop.h"
#include "lab/deployment/daemons.h"
#include "runtime/result.h"

namespace trap::bench {

enum class Role { floor, trap, peer, guest }; // a guest came by --beside

// The right reaction to each packet of a flood: an answer (TRAP_FLOOD_OTHER is silence), and the
// verdict that TRAP counts it under.
struct ExpectedAnswer {
  trap_flood_answer answer;
  std::string verdict = {};
};

// Processes, sockets, programs and rules of a responder or a defence, as long as they are held.
using Held = std::shared_ptr<void>;

struct Equipment {
  Held held;
  std::shared_ptr<lab::Daemon> daemon; // of TRAP only
};

struct Responder {
  std::string name;
  Role role;
  std::map<FloodKind, ExpectedAnswer> expected; // to the floods that it is measured in
  std::function<Result<Equipment>(const ResponderHost&)> equip; // an error if this machine cannot
  std::string why_not_ipv6 = {};
};

std::vector<Responder> responders();

// The reason why nft's SYNPROXY is left out for IPv6.
std::string_view nft_synproxy_why_not_ipv6();

// A listener on every address, port 80, in a host: the service that a responder protects.
Result<Held> listen_in(const lab::Host& host);

inline constexpr std::string_view at_native_xdp = "xdp_mode = \"native\"\n";

// trap-server with these services, as TOML, and the keys that say where it attaches. Makes its
// keys.
Result<std::shared_ptr<lab::Daemon>> start_trap_server(const lab::Host& host,
                                                       const std::string& services,
                                                       std::string_view hook = at_native_xdp);

// trap-guard of port 80, with a key of its own.
Result<std::shared_ptr<lab::Daemon>> start_trap_guard(const lab::Host& host);

// One service at the public addresses whose clients are redirected, and one that this host serves.
std::string reset_service();
std::string served_service();

} // namespace trap::bench
