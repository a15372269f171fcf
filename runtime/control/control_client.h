// SPDX-License-Identifier: Apache-2.0
// Asks a daemon at its control socket. It has 5 s for its answer, to a reload or an explanation 60
// s.
#pragma once

#include <optional>
#include <string>

#include "runtime/result.h"

namespace trap {

struct ControlAnswer {
  int http_status = 0;
  std::string body;
};

// Empty if nothing listens there; an error if a daemon does but cannot be asked.
Result<std::optional<ControlAnswer>> control_get(const std::string& socket_path,
                                                 const std::string& path);
Result<std::optional<ControlAnswer>> control_post(const std::string& socket_path,
                                                  const std::string& path, const std::string& body);

} // namespace trap
