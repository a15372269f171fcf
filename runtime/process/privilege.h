// SPDX-License-Identifier: Apache-2.0
// Checks before anything is touched: may this process load and attach BPF programs, and is the
// kernel new enough?
#pragma once

#include <string>

#include "runtime/result.h"

namespace trap {

// The oldest kernel that has what the programs use.
inline constexpr unsigned kernel_major = 6;
inline constexpr unsigned kernel_minor = 1;

// `release` as uname(2) gives it, "6.1.0-18-amd64".
Result<void> check_kernel_release(const std::string& release);
Result<void> check_kernel();

// CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and CAP_NET_RAW where raw sockets are needed.
Result<void> check_privilege(bool needs_raw_sockets);

} // namespace trap
