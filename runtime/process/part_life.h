// SPDX-License-Identifier: Apache-2.0
// How each part's program comes to be loaded and, for XDP, how it goes: the steps that are the same
// whatever the program does.
#pragma once

#include <functional>
#include <string>

#include "runtime/config/part_config.h"
#include "runtime/fd.h"
#include "runtime/result.h"
#include "runtime/undo.h"

struct bpf_object;

namespace trap {

// `open` opens the skeleton, and sets what is constant while the program runs; null if it cannot.
// `load` loads what was opened.
struct SkeletonSteps {
  std::function<bpf_object*()> open;
  std::function<int()> load;
};

// Are all interfaces of the configuration there?
Result<void> check_interfaces(const PartConfig& config);

// Locks pin_dir, opens the skeleton and loads it with the pinned maps. Returns the lock, to be
// kept.
Result<Fd> lock_and_load(const PartConfig& config, const SkeletonSteps& skeleton, Undo& undo);

// --detach of a part with XDP links: removes links, pins and pin_dir. Logs one line that ends with
// `consequence`, if there is one.
Result<void> detach_xdp_part(const PartConfig& config, const std::string& consequence);

} // namespace trap
