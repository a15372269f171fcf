// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/timeout_scale.h"

#include <cstdlib>

namespace trap::lab {
namespace {

constexpr long most = 100;

long factor() {
  const char* text = std::getenv("TRAP_LAB_TIMEOUT_SCALE");
  char* end = nullptr;
  const long times = text != nullptr ? std::strtol(text, &end, 10) : 1;
  return times >= 1 && times <= most && (end == nullptr || *end == '\0') ? times : 1;
}

} // namespace

std::chrono::milliseconds patiently(std::chrono::milliseconds deadline) {
  static const long times = factor();
  return deadline * times;
}

} // namespace trap::lab
