// SPDX-License-Identifier: Apache-2.0
// One lab at a time on a machine. An abstract socket: the kernel drops it with its owner, however
// that ends.
#pragma once

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

// Holds the lock as long as the descriptor lives; an error if another lab holds it.
Result<Fd> lock_lab();

} // namespace trap::lab
