// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/part.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "runtime/attach/xdp.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/log.h"
#include "runtime/net/interface_choice.h"

namespace trap {

Result<std::string> Part::command(const std::vector<std::string>& words) {
  return unknown_command(config(), words);
}

Error unknown_command(const PartConfig& config, const std::vector<std::string>& words) {
  return Error{fmt::format("trap-{} knows no command \"{}\"", config.part, fmt::join(words, " ")),
               ExitCode::usage};
}

Result<void> check_interfaces(const PartConfig& config) {
  for (const std::string& interface : config.interfaces) {
    if (is_pattern(interface))
      continue;
    if (auto there = check_interface(interface, config); !there)
      return there.error();
  }
  return {};
}

Result<void> detach_xdp_part(const PartConfig& config, const std::string& consequence,
                             const std::function<void()>& detach_more) {
  auto lock = lock_pin_dir(config.pin_dir, "trap-" + config.part);
  if (!lock)
    return lock.error();
  auto detached = detach_pinned_links(config.pin_dir);
  if (!detached)
    return detached.error();
  auto unpinned = detach_unpinned_links("trap_" + config.part, config.pin_dir, config.interfaces);
  if (!unpinned)
    return unpinned.error();
  detach_more();
  if (auto removed = remove_pins(config.pin_dir); !removed)
    return removed.error();
  log::info("detached from {} interface(s), removed {}{}", *detached + *unpinned, config.pin_dir,
            consequence.empty() ? "" : ": " + consequence);
  return {};
}

} // namespace trap
