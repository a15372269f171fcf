// SPDX-License-Identifier: Apache-2.0
// The parts on this host, as trapctl finds them: where each listens, what it says of itself, what
// it answers to a command.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "ctl/commands.h"

namespace trap::ctl {

struct Place {
  std::string part; // empty: whatever part answers
  std::string socket;
  std::string pin_dir;
};

// One place for a part, socket or pin directory that was named, else one for each part.
std::vector<Place> places(const PartRequest& request);
bool names_one(const PartRequest& request);

// What GET /status answers; null if nobody listens.
Result<nlohmann::ordered_json> running_status(const Place& place);

// The parts that run and answer; the error with ExitCode::not_running if none does.
Result<std::vector<nlohmann::ordered_json>> running_parts(const PartRequest& request);

// Who was asked for and is not there.
Error nothing_runs(const PartRequest& request);

// Posts; nothing if nobody listens; the daemon's own error if it refuses.
Result<std::optional<nlohmann::ordered_json>>
post(const std::string& socket, const std::string& path, const std::string& body = "");

} // namespace trap::ctl
