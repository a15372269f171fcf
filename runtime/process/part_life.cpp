// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/part_life.h"

#include "runtime/kernel/pinned_object.h"
#include "runtime/kernel/xdp.h"
#include "runtime/process/log.h"

namespace trap {

Result<void> check_interfaces(const PartConfig& config) {
  for (const std::string& interface : config.interfaces) {
    if (auto index = interface_index(interface, config); !index)
      return index.error();
  }
  return {};
}

Result<Fd> lock_and_load(const PartConfig& config, const SkeletonSteps& skeleton, Undo& undo) {
  const std::string program = "trap-" + config.part;
  auto lock = open_pin_dir(config.pin_dir, program, undo);
  if (!lock)
    return lock.error();
  bpf_object* object = skeleton.open();
  if (!object)
    return Error{"cannot open the BPF program in this executable: was it built completely?"};
  if (auto loaded = load_pinned(object, skeleton.load, config.pin_dir, program, undo); !loaded)
    return loaded.error();
  return lock;
}

Result<void> detach_xdp_part(const PartConfig& config, const std::string& consequence) {
  auto lock = lock_pin_dir(config.pin_dir, "trap-" + config.part);
  if (!lock)
    return lock.error();
  auto detached = detach_pinned_links(config.pin_dir);
  if (!detached)
    return detached.error();
  if (auto removed = remove_pins(config.pin_dir); !removed)
    return removed.error();
  log::info("detached from {} interface(s), removed {}{}", *detached, config.pin_dir,
            consequence.empty() ? "" : ": " + consequence);
  return {};
}

} // namespace trap
