// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/part.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace trap {

Result<std::string> Part::command(const std::vector<std::string>& words) {
  return Error{fmt::format("trap-{} knows no command \"{}\"", config().part, fmt::join(words, " ")),
               ExitCode::usage};
}

Result<std::string> Part::explain(const ExplainRequest&) {
  return Error{fmt::format("trap-{} cannot explain packets", config().part)};
}

} // namespace trap
