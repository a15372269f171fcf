// SPDX-License-Identifier: Apache-2.0
// The MTU that tells clients how large their segments may be.
#pragma once

#include <string>
#include <vector>

namespace trap::server {

// The smallest MTU of those interfaces that are there; Ethernet's if none is.
unsigned smallest_mtu(const std::vector<std::string>& interfaces);

} // namespace trap::server
