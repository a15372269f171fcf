// SPDX-License-Identifier: Apache-2.0
// Figures of the daemon's process: CPU, memory, descriptors, by the names that Prometheus' client
// libraries use.
#pragma once

#include <string>

#include "runtime/control/metrics.h"

namespace trap {

// From /proc/self; what cannot be read is left out.
void measure_process(Metrics& metrics, const std::string& part);

} // namespace trap
