// SPDX-License-Identifier: Apache-2.0
// Answers that an interface's driver did not take from XDP, by its own counters: the program sees
// that it sent them, and the clients see nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace trap::server {

// A driver's counters (ethtool -S) by name.
using DriverCounters = std::map<std::string, std::uint64_t>;

// Those of them that count frames which XDP could not send.
DriverCounters losses_among(const DriverCounters& counters);

// The sum of those that count frames which XDP sent. Some drivers count one several times.
std::uint64_t sent_among(const DriverCounters& counters);

class AnswerLosses {
public:
  // Every few seconds. now_ns: CLOCK_MONOTONIC. `native`: interfaces whose driver runs XDP.
  void observe(std::uint64_t now_ns, const std::vector<std::string>& interfaces,
               const std::vector<std::string>& native);
  void note(std::uint64_t now_ns, const std::string& interface, const DriverCounters& counters);
  void note_peer(const std::string& interface, bool is_bare);

  // Of the last minute, a line for each interface.
  std::vector<std::string> problems(std::uint64_t now_ns) const;

  // Nearly all answers by this interface are lost: the other end of a veth runs no XDP program, or
  // the driver's counters said so within ten minutes.
  bool loses_all(const std::string& interface, std::uint64_t now_ns) const;

  // By every interface: whatever XDP answers, no client gets it.
  bool loses_all(std::uint64_t now_ns) const;

  // Answers are worth another try.
  void retry();

private:
  struct Interface {
    DriverCounters last;
    std::uint64_t sent = 0;
    std::string counter; // that rose first in the present row of losses; empty: none ever did
    std::uint64_t rose_ns = 0;
    bool peer_is_bare = false;
    std::uint64_t lost_until_ns = 0; // as far as counters say
    bool is_known = false;           // its counters were read before
  };

  std::map<std::string, Interface> interfaces_;
  std::uint64_t due_ns_ = 0;
};

} // namespace trap::server
