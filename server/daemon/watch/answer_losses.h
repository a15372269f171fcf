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

class AnswerLosses {
public:
  // Every few seconds. now_ns: CLOCK_MONOTONIC.
  void observe(std::uint64_t now_ns, const std::vector<std::string>& interfaces);
  void note(std::uint64_t now_ns, const std::string& interface, const DriverCounters& losses);

  // Of the last minute, a line for each interface.
  std::vector<std::string> problems(std::uint64_t now_ns) const;

private:
  struct Interface {
    DriverCounters last;
    std::string counter; // that rose first in the present row of losses; empty: none ever did
    std::uint64_t rose_ns = 0;
  };

  std::map<std::string, Interface> interfaces_;
  std::uint64_t due_ns_ = 0;
};

} // namespace trap::server
