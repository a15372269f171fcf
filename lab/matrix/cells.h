// SPDX-License-Identifier: Apache-2.0
// The cells of the equality matrix: set-ups, and for each the outcome that docs/compatibility.md
// promises. `trap-lab cells` prints them; the scenarios "equality" and "equality-all" try them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "lab/matrix/conversation.h"

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
  bool is_signed = false; // has a TCP-MD5 key of some peer
  bool bound = false;     // SO_BINDTODEVICE
  int several = 1;        // with SO_REUSEPORT
  std::vector<SocketOption> options = {};

  [[nodiscard]] bool is_usual() const {
    return !none && !anywhere && !multipath && !is_signed && !bound && several == 1 &&
           options.empty();
  }
};

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
  std::string_view needs = {}; // a command that fails on the TRAP host where the kernel lacks it
  std::string_view host = {}, host_undo = {}; // shell commands on the TRAP host
  bool other_next_hop = false;                // SYNs come from another router than answers go to
  std::string_view interfaces = {};           // of the configuration, as in TOML, instead of "eth0"
  std::string_view xdp_mode = {};             // instead of "native"
  bool quick = false;                         // part of "equality"
};

std::span<const Cell> all_cells();

} // namespace trap::lab
