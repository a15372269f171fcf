// SPDX-License-Identifier: Apache-2.0
// Rates for people, and as JSON.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "ctl/top/rates.h"

namespace trap::ctl {

// "0", "3.2", "850", "1.25k", "14.9M": five characters at most.
std::string format_rate(double per_s);

// A table for each part, each line with its end. A part's packets of no service are left out while
// there are none.
std::string format_rates(const std::vector<ServiceRates>& rates);

nlohmann::ordered_json rates_json(const std::vector<ServiceRates>& rates, double interval_s);

} // namespace trap::ctl
