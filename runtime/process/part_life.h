// SPDX-License-Identifier: Apache-2.0
// How each part's program comes to be loaded and, for XDP, how it goes: the steps that are the same
// whatever the program does.
#pragma once

#include <string>

#include "runtime/config/part_config.h"
#include "runtime/result.h"

namespace trap {

// Are all interfaces of the configuration there?
Result<void> check_interfaces(const PartConfig& config);

// --detach of a part with XDP links: removes links, pins and pin_dir. Logs one line that ends with
// `consequence`, if there is one.
Result<void> detach_xdp_part(const PartConfig& config, const std::string& consequence);

} // namespace trap
