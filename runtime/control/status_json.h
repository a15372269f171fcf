// SPDX-License-Identifier: Apache-2.0
// Pieces of GET /status that more than one part has.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "protocol/keyring.h"
#include "runtime/attach/xdp.h"
#include "runtime/config/config_node.h"
#include "runtime/kernel/counters.h"

namespace trap {

// Counters that are not zero, by verdict name.
nlohmann::ordered_json counters_json(const VerdictCounts& counts);

// {"in": n, "out": n}: bytes of the frames that came in and of the answers that went out.
nlohmann::ordered_json bytes_json(const VerdictCounts& counts);

// Interfaces with their mode, and a problem for each that does not run our program.
nlohmann::ordered_json interfaces_json(const std::vector<XdpState>& states);

// Adds the programs of others that run before ours at tc, if there are any.
void add_programs_before(nlohmann::ordered_json& interface,
                         const std::vector<std::string>& programs);
nlohmann::ordered_json uncovered_json(const std::vector<Uncovered>& uncovered);

// A line for each that is not harmless.
std::vector<std::string> uncovered_problems(const std::vector<Uncovered>& uncovered);

std::vector<std::string> interface_problems(const std::vector<XdpState>& states);

// Present epoch and the epochs a ring holds; a ring without the present one, or with few, is a
// problem.
nlohmann::ordered_json keys_json(const trap_keyring& ring);
std::vector<std::string> key_problems(const trap_keyring& ring);

// A configuration that is in force, as JSON.
nlohmann::ordered_json config_json(const ConfigNode& node);

void add_counts(VerdictCounts& sum, const VerdictCounts& counts);

} // namespace trap
