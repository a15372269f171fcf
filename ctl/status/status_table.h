// SPDX-License-Identifier: Apache-2.0
// Status for people.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace trap::ctl {

// `parts` is an array of what GET /status answers; unknown fields are left out, missing ones are
// skipped.
void print_status(const nlohmann::ordered_json& parts);

} // namespace trap::ctl
