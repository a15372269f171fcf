// SPDX-License-Identifier: Apache-2.0
// The parts on this host, as trapctl finds them: their sockets, their status, their answers to
// commands.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "ctl/commands.h"

namespace trap::ctl {

struct PartLocation {
  std::string part; // empty: any part that answers
  std::string socket;
  std::string pin_dir;
};

// One location for a part, socket or pin directory that was named, else one for each part.
std::vector<PartLocation> locations(const PartRequest& request);
bool names_one(const PartRequest& request);

// An answer of the socket: an object, with its texts fit for a terminal.
Result<nlohmann::ordered_json> read_object(const std::string& socket, const std::string& body);

// The answer to GET /status; null if nothing listens.
Result<nlohmann::ordered_json> running_status(const PartLocation& location);

// The parts that run and answer; the error with ExitCode::not_running if none does.
Result<std::vector<nlohmann::ordered_json>> running_parts(const PartRequest& request);

// A service's name goes into a path: an error with ExitCode::usage if it cannot be one.
Result<void> check_service_name(const std::string& name);

// A daemon that holds the part's pins and does not listen at the location's socket. None as well
// where only root could see it.
struct DeafDaemon {
  std::string what, cure;
};
std::optional<DeafDaemon> deaf_daemon(const PartLocation& location);

// The error of a request for a part that does not run.
Error nothing_runs(const PartRequest& request);

// Posts. Empty if nothing listens; the daemon's own error if it refuses.
Result<std::optional<nlohmann::ordered_json>>
post(const std::string& socket, const std::string& path, const std::string& body = "");

} // namespace trap::ctl
