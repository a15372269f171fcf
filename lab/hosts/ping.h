// SPDX-License-Identifier: Apache-2.0
// An ICMP or ICMPv6 echo from a lab host: not every machine has ping installed.
#pragma once

#include <chrono>
#include <string_view>

#include "lab/hosts/addresses.h"
#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

// Sends an echo request every 200 ms until one is answered or the deadline passes. An error if none
// was.
Result<void> ping(const Host& host, Family family, std::string_view address,
                  std::chrono::milliseconds deadline);

} // namespace trap::lab
