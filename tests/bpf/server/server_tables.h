// SPDX-License-Identifier: Apache-2.0
// The server's table of budgets, which lies in an array map, as a map of entries.
#pragma once

#include "tests/bpf/harness/object.h"

namespace trap::test {

void see_server_tables(Object& object);

} // namespace trap::test
