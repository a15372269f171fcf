// SPDX-License-Identifier: Apache-2.0
// Floods from the attacker's host: hping3 with random sources where it can (SYN, IPv4), a generator
// of our own for IPv6 and for ACK, RST and FIN. Counts are those of the victim's interface, not
// the sender's claims.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lab/hosts/process.h"
#include "lab/network/topology.h"
#include "lab/traffic/flood_packet.h"
#include "runtime/result.h"

namespace trap::lab {

struct FloodOrder {
  Family family = Family::ipv4;
  FloodKind kind = FloodKind::syn;
  std::string victim; // host of the lab
  int port = 80;
  bool hardest = false;      // never hping3, which is half as fast
  bool many_sources = false; // by the generator too, and nearly each SYN with a source of its own
  int per_second = 0;        // by the generator too; 0: as many as it can
  std::vector<std::string> hping = {"--flood", "-S"};
};

struct FloodSeen {
  std::uint64_t packets = 0;
  double seconds = 0;
  [[nodiscard]] double per_second() const {
    return seconds > 0 ? static_cast<double>(packets) / seconds : 0;
  }
};

std::string_view name_of(FloodKind kind);

// A flood that is under way; it ends with the object, and by itself after a minute.
class Flood {
public:
  // Starts it and waits until the victim's interface sees it.
  static Result<Flood> start(const Topology& topology, const FloodOrder& order);

  // Packets that the victim's interface received since start(); the flood goes on.
  [[nodiscard]] Result<FloodSeen> seen() const;

private:
  using Clock = std::chrono::steady_clock;
  Flood(const Host& victim, Process process) : victim_(&victim), process_(std::move(process)) {}
  Result<void> wait_until_seen();
  const Host* victim_;
  Process process_;
  std::uint64_t packets_at_start_ = 0;
  Clock::time_point start_{};
};

// The generator: `trap-lab flood INTERFACE SOURCE-MAC GATEWAY-MAC ADDRESS PORT KIND SECONDS [many]
// [PER-SECOND]`. Returns the exit code.
int run_flood_generator(const std::vector<std::string>& arguments);

} // namespace trap::lab
