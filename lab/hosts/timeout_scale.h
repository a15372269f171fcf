// SPDX-License-Identifier: Apache-2.0
// Deadlines on machines that are slower than those they were made for, such as emulated ones:
// TRAP_LAB_TIMEOUT_SCALE times as long, 1 to 100.
#pragma once

#include <chrono>

namespace trap::lab {

// The deadline as long as this machine needs it. What is not a whole number from 1 to 100 in the
// environment counts as 1.
std::chrono::milliseconds patiently(std::chrono::milliseconds deadline);

} // namespace trap::lab
