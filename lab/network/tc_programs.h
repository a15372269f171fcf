// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lab/hosts/host.h"

namespace trap::lab {

// BPF programs at tc of a host's interface, each as "ingress NAME" or "egress NAME", in the order
// in which they run.
std::vector<std::string> tc_programs(const Host& host, const std::string& interface);

} // namespace trap::lab
