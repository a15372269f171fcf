// SPDX-License-Identifier: Apache-2.0
// The boundary between the benchmark, which returns errors, and the rigs of the tests, which throw.
#pragma once

#include <stdexcept>
#include <type_traits>

#include "runtime/result.h"

namespace trap::bench {

// Calls `use`, which returns a Result and may use anything of tests/. The rigs throw because
// GoogleTest turns an exception into a failed test, and their callers stay short by that. Here an
// exception becomes an error, so that one measurement is refused and the others go on. Wrap whole
// runs: nothing may stand between the clock and the measured code.
template <class Use> std::invoke_result_t<Use> use_rigs(const Use& use) {
  try {
    return use();
  } catch (const std::runtime_error& error) {
    return Error{error.what()};
  }
}

} // namespace trap::bench
