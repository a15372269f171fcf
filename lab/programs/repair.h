// SPDX-License-Identifier: Apache-2.0
// Restores a connection in another socket, as checkpoints of processes do (TCP_REPAIR): without a
// SYN, and in sight of no program that follows connections by theirs.
#pragma once

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

// The connection of `fd`, which has nothing under way, in a socket of its own from now on.
Result<Fd> restore_connection(Fd fd);

} // namespace trap::lab
