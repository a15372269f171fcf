// SPDX-License-Identifier: Apache-2.0
// The cells of the equality matrix: set-ups, and for each the outcome that docs/compatibility.md
// promises. `trap-lab cells` prints them; the scenarios "equality" and "equality-all" try them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/matrix/conversation.h"
#include "lab/network/listener_choice.h"

namespace trap::lab {

enum class CellOutcome { equal, degraded, refused };

std::string_view text_of(CellOutcome outcome);

struct SocketOption {
  int level = 0, name = 0, value = 0;
};

// How the service listens, under TRAP and without it alike.
struct Listening {
  bool none = false;
  bool anywhere = false; // at the unspecified address
  bool multipath = false;
  bool is_signed = false;   // has a TCP-MD5 key of some peer
  bool bound = false;       // SO_BINDTODEVICE
  int several = 1;          // with SO_REUSEPORT
  bool elsewhere = false;   // at another port, to which rules lead clients
  bool transparent = false; // as TPROXY needs it
  bool container = false;   // in a container, to which rules lead clients
  bool proxy = false;       // at the port itself as well
  bool mixed = false;       // IPv4 clients are served by an IPv6 socket at the unspecified address
  bool shares = false;      // its address, with others (SO_REUSEPORT)
  int backlog = 64;
  std::optional<int> again = {};   // listen() is called once more, with this backlog
  bool shut = false;               // before that: shutdown(SHUT_RD)
  Chooser chooser = Chooser::none; // of several
  bool steered = false;            // clients are led to it by a program (sk_lookup)
  bool loopback = false;           // at 127.0.0.1 or ::1
  bool filtered = false;           // SO_ATTACH_FILTER, which takes all
  std::vector<SocketOption> options = {};

  [[nodiscard]] bool is_usual() const {
    return !none && !anywhere && !multipath && !is_signed && !bound && several == 1 && !elsewhere &&
           !container && !transparent && !mixed && !shares && backlog == 64 && !again && !shut &&
           chooser == Chooser::none && !steered && !loopback && !filtered && options.empty();
  }
};

// A tcx program of another owner, in front of TRAP's; or the service's address is in the container,
// to which the host routes.
enum class Neighbour { none, accepts, answers, routed };

struct Cell {
  std::string_view axis = {}, name = {};
  CellOutcome outcome = CellOutcome::equal;
  std::string_view remark = {}; // for readers: the differences, or the way in which it is degraded
  std::vector<std::string_view> differs = {}; // fields that may, and do
  std::string_view named = {};                // words of a problem, or of the refusal
  bool left = false;                          // equal because the stack answers: nothing listens

  std::vector<std::string_view> shapes = {"Linux"};
  Course course = Course::usual;
  Listening listening = {};
  std::optional<Listening> earlier = {}; // TRAP knew that one, and this one is there right now
  bool overlaps = false;                 // before the earlier one goes
  std::string needs = {};     // a command that fails on the TRAP host where the kernel lacks it
  bool other_mac = false;     // the service's address is at cell_mac, which `host` sees to
  int vlan = -1;              // the tag of a client's frames; -1: none
  int outer_vlan = -1;        // one of 802.1ad around it
  std::string_view wire = {}; // the router's interface by which clients come, instead of "trap"
  std::string host = {}, host_undo = {};     // shell commands on the TRAP host
  std::string router = {}, router_undo = {}; // and on the router
  // Instead of `host`: settings of the TRAP host, each "name=value", one after the other.
  std::vector<std::string> turns = {};
  bool every_switch = false; // and each other that is 0 or 1, the other way round
  Neighbour program = Neighbour::none;
  bool peer_is_bare = false;        // the other end of the host's veth runs no XDP program
  bool threaded = false;            // a thread polls the interface (threaded NAPI)
  bool at_peace = false;            // the service's "activate" is "attack"
  bool other_next_hop = false;      // SYNs come from another router than answers go to
  std::string_view interfaces = {}; // of the configuration, as in TOML, instead of "eth0"
  std::string_view xdp_mode = {};   // instead of "native"
  bool at_tc = false;               // attach = "tc"
  bool quick = false;               // part of "equality"

  // Is the daemon started anew for it?
  [[nodiscard]] bool restarts() const {
    return !interfaces.empty() || !xdp_mode.empty() || at_tc || peer_is_bare || at_peace;
  }
};

inline constexpr MacAddress cell_mac = {0x02, 0, 0, 0, 4, 0x77};

std::span<const Cell> all_cells();

// "axis: name"
std::string label_of(const Cell& cell);

} // namespace trap::lab
