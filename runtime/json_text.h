// SPDX-License-Identifier: Apache-2.0
// JSON as text. Names come from the host, an interface's can be any bytes, and JSON is UTF-8: what
// is not becomes U+FFFD, where the library alone would throw and leave no answer at all.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace trap {

// `indent`: blanks a level; negative: on one line.
template <class Json> std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

} // namespace trap
