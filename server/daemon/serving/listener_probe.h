// SPDX-License-Identifier: Apache-2.0
// One SYN a second from a service's address to its listener, over loopback. It makes the listener
// send a SYN cookie, without which the stack would not take those of others; and its answer says
// whether anybody listens, and what the listener tells clients. The stack itself resets what it
// knows nothing of, so the application behind the listener never notices.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/config/endpoint.h"
#include "runtime/fd.h"
#include "server/daemon/serving/probe_segment.h"

namespace trap::server {

class ListenerProbe {
public:
  // Fails if this process may not open raw sockets.
  static Result<std::unique_ptr<ListenerProbe>> make();

  // Which listeners to probe from now on; those that stay keep their answer.
  void watch(const std::vector<Endpoint>& listeners);

  // Reads answers, and sends what is due, each listener's SYN once a second. now_ns:
  // CLOCK_MONOTONIC.
  void advance(std::uint64_t now_ns);

  // The listener's last answer; nothing if no probe has had time yet.
  std::optional<ListenerAnswer> answer(const Endpoint& listener) const;

  // When it last answered with a SYN-ACK, 0 if it never has.
  std::uint64_t answered_ns(const Endpoint& listener) const;

  // The reason why the listener does not answer, a phrase without its address. Empty if
  // it does, or nothing is known yet.
  std::string problem(const Endpoint& listener) const;

private:
  struct Probe {
    std::uint64_t due_ns = 0;
    std::uint64_t answered_ns = 0;
    Fd socket; // open while a SYN is under way; sees nothing but what the address says to itself
    ProbeSyn syn;
    unsigned silent = 0; // SYNs in a row without an answer
    std::optional<ListenerAnswer> answer;
    std::string problem;
  };

  static void send(const Endpoint& listener, Probe& probe);
  static void receive(const Endpoint& listener, Probe& probe, std::uint64_t now_ns);
  static void give_up(Probe& probe);
  static void fail(Probe& probe, std::string problem);

  std::map<Endpoint, Probe> probes_;
};

} // namespace trap::server
