// SPDX-License-Identifier: Apache-2.0
// The relay on the TRAP host: a real nginx (stream) or HAProxy that takes the connections of
// clients to be served and leads them to the service's host, each family to its own.
#pragma once

#include <string_view>
#include <vector>

#include "lab/hosts/host.h"
#include "lab/hosts/process.h"
#include "runtime/result.h"

namespace trap::lab {

enum class RelayKind { none, nginx, haproxy };

std::string_view name_of(RelayKind kind);

class Relay {
public:
  // Listens at the public addresses of `host` on these ports; waits until all of them accept.
  static Result<Relay> start(const Host& host, RelayKind kind, const std::vector<int>& ports);

private:
  explicit Relay(Process process) : process_(std::move(process)) {}
  Process process_;
};

} // namespace trap::lab
