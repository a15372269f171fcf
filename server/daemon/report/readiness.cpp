// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/report/readiness.h"

#include <fmt/core.h>

namespace trap::server {

std::string unready_reason(const ReadinessFacts& facts) {
  if (!facts.attached)
    return "trap-server's program is at no interface";
  if (!facts.has_key)
    return "trap-server has no key for the present time";
  const bool down = facts.usable_backends == 0;
  if (down && (!facts.serves || (facts.backends > 0 && !facts.serves_when_down)))
    return "no backend is usable, and clients get no answer";
  return facts.serves ? facts.listener_problem : "";
}

std::string led_to(const ReadinessFacts& facts) {
  const std::string backends =
      fmt::format("{} backend{}", facts.usable_backends, facts.usable_backends == 1 ? "" : "s");
  if (!facts.serves)
    return backends;
  return facts.usable_backends == 0 ? "this host" : backends + " and this host";
}

} // namespace trap::server
