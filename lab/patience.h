// SPDX-License-Identifier: Apache-2.0
// Deadlines on machines that are slower than those they were made for, such as emulated ones: TRAP_LAB_PATIENCE times as long, 1 to 100.
#ifndef TRAP_LAB_PATIENCE_H
#define TRAP_LAB_PATIENCE_H

#include <chrono>

namespace trap::lab {

// The deadline as long as this machine needs it. What is not a whole number from 1 to 100 in the environment counts as 1.
std::chrono::milliseconds patiently(std::chrono::milliseconds deadline);

} // namespace trap::lab

#endif
