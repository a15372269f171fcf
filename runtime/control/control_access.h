// SPDX-License-Identifier: Apache-2.0
// Access to the control socket: everything for root, and reading for the members of one group.
#pragma once

#include <string>
#include <sys/types.h>

#include "runtime/control/http_server.h"
#include "runtime/result.h"

namespace trap {

// A group's name, or its number. An error with ExitCode::usage if this host has none of that name.
Result<gid_t> find_group(const std::string& group);

// Lets the members of the group connect to the socket at `path`: root:GROUP, mode 0660. That takes
// CAP_CHOWN, which the units' sandbox has not: there --share-control does it after the start.
Result<void> open_to_group(const std::string& path, gid_t group);

// The reason why the members cannot connect now, as one line, or an empty one.
std::string reason_of_shut_socket(const std::string& path, const std::string& name, gid_t group);

// May the user who sent the request do what it asks? Reading is for each who can connect; what
// changes something is for root.
bool is_for_root_alone(const HttpRequest& request);
bool is_from_root(const HttpRequest& request);

// The refusal of a request that only root may make.
HttpAnswer refuse_to_user(const HttpRequest& request);

// An explanation without the frames that may hold a cookie or a ticket for any address.
std::string without_secrets(const std::string& explanation);

} // namespace trap
