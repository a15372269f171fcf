// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/state/listener_queue.h"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/nanoseconds.h"

namespace trap::server {
namespace {

constexpr std::uint64_t remembered_ns = 60 * ns_per_s;

} // namespace

void ListenerQueue::observe(std::uint64_t now_ns, const QueueSight& sight,
                            std::uint64_t overflows) {
  looks_full_ = sight.is_full ? looks_full_ + 1 : 0;
  std::uint32_t dropped = 0; // the most of a listener; another one begins at less
  for (std::size_t i = 0; sight_ && i < sight.drops.size(); i++)
    if (sight.drops[i] > sight_->drops[i])
      dropped = std::max(dropped, sight.drops[i] - sight_->drops[i]);
  if (dropped != 0 && overflows > overflows_) {
    overflow_ns_ = now_ns;
    total_ += std::min<std::uint64_t>(dropped, overflows - overflows_);
  }
  sight_ = sight;
  overflows_ = overflows;
}

bool ListenerQueue::is_short(std::uint64_t now_ns) const {
  return is_full() || (overflow_ns_ != 0 && now_ns < overflow_ns_ + remembered_ns);
}

std::string ListenerQueue::problem(std::uint64_t now_ns) const {
  if (is_full())
    return fmt::format("the queue of its listener, of {}, is full: the service accepts no clients, "
                       "or too slowly: is it stopped, or out of file descriptors?",
                       room());
  if (!is_short(now_ns))
    return "";
  return fmt::format(
      "the queue of its listener, of {}, was full within the last minute, and "
      "handshakes were dropped: the service accepts clients too slowly: give it more "
      "workers, or a longer queue (its backlog, and net.core.somaxconn)",
      room());
}

} // namespace trap::server
