// SPDX-License-Identifier: Apache-2.0
// The connections that wait for a service to accept them. A queue that is full says that the
// service itself is too slow, is stopped, or has no file descriptors left, at peace and under
// attack alike. Pure logic: looks at the queue in, a judgement out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/daemon/serving/listener_facts.h"

namespace trap::server {

class ListenerQueue {
public:
  // Once a second. `overflows`: of all listeners of this network namespace
  // (TcpExt.ListenOverflows). A listener drops for other reasons too: only while that rises as well
  // do its drops count. now_ns: CLOCK_MONOTONIC.
  void observe(std::uint64_t now_ns, const QueueSight& sight, std::uint64_t overflows);

  // At three looks in a row: a busy service's queue may be full at one by chance, and one whose
  // queue is full takes no clients, for routers as well (trapctl ready).
  bool is_full() const { return looks_full_ >= 3; }

  // Was something dropped after `ns`?
  bool overflowed_after(std::uint64_t ns) const { return overflow_ns_ > ns; }

  // Is the service too slow? True for a minute after the last drop.
  bool is_short(std::uint64_t now_ns) const;

  // Drops that were seen, at least.
  std::uint64_t overflows() const { return total_; }
  std::uint32_t room() const { return sight_ ? sight_->room : 0; }

  // A phrase without the service; empty if all is well.
  std::string problem(std::uint64_t now_ns) const;

private:
  std::optional<QueueSight> sight_; // the last
  std::uint64_t overflows_ = 0;     // of the host, then
  unsigned looks_full_ = 0;         // in a row
  std::uint64_t overflow_ns_ = 0;   // when drops were last seen
  std::uint64_t total_ = 0;
};

} // namespace trap::server
