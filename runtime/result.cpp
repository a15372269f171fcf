// SPDX-License-Identifier: Apache-2.0
#include "runtime/result.h"

#include <cstring>

namespace trap {

std::string error_text(int error_number) {
  char buffer[128];
  return strerror_r(error_number < 0 ? -error_number : error_number, buffer, sizeof(buffer));
}

} // namespace trap
