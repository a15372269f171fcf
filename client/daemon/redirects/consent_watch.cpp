// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/redirects/consent_watch.h"

#include "client/daemon/redirects/held_redirects.h"
#include "runtime/kernel/counters.h"
#include "runtime/log.h"

namespace trap::client {
namespace {

constexpr std::size_t told_at_most = 256; // an attacker's server can name any number of targets
constexpr int lines_a_look = 4;

} // namespace

void ConsentWatch::tick(int counters_fd, int fallbacks_fd, std::uint64_t now_ns) {
  const std::uint64_t refused = CounterReader(counters_fd).read(0)[TRAP_REPLY_UNCONSENTED].packets;
  if (refused == refused_)
    return;
  refused_ = refused;
  if (told_.size() >= told_at_most)
    told_.clear();
  int lines = 0;
  for (const HeldFallback& held : read_fallbacks(fallbacks_fd, now_ns)) {
    if (!held.unconsented || lines == lines_a_look ||
        !told_.emplace(held.service, *held.unconsented).second)
      continue;
    log::warn("{} redirects to {}, which answers without CONSENT: connections are left to the TRAP "
              "server. A guard before 0.5.0, or none, or a middlebox that removes TCP options? "
              "Update the guard, or name the target in a [[trust]]",
              format_endpoint(held.service), format_endpoint(*held.unconsented));
    lines++;
  }
}

} // namespace trap::client
