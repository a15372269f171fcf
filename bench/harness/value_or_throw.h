// SPDX-License-Identifier: Apache-2.0
// Errors as exceptions. The lab returns results and the tests' harness throws; the benchmark uses
// both, and throws.
#pragma once

#include <stdexcept>
#include <utility>

#include "runtime/result.h"

namespace trap::bench {

template <class T> T value_or_throw(trap::Result<T> result) {
  if (!result)
    throw std::runtime_error(result.error().message);
  return std::move(*result);
}

inline void value_or_throw(const trap::Result<void>& result) {
  if (!result)
    throw std::runtime_error(result.error().message);
}

} // namespace trap::bench
