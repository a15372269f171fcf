// SPDX-License-Identifier: Apache-2.0
// The guard's tables of flows and clients, which lie in array maps, as maps of entries.
#pragma once

#include "tests/bpf/harness/object.h"

namespace trap::test {

void see_guard_tables(Object& object);

} // namespace trap::test
