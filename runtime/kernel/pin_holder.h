// SPDX-License-Identifier: Apache-2.0
// The daemon that holds a directory of pins, as others see it.
#pragma once

#include <optional>
#include <string>

namespace trap {

// The process that has locked `pin_dir` (runtime/kernel/pinned_object.h), without touching the
// lock; nothing if none has.
std::optional<int> holder_of_pin_dir(const std::string& pin_dir);

} // namespace trap
