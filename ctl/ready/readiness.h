// SPDX-License-Identifier: Apache-2.0
// Whether a handshake can complete at a service and lead somewhere now, read from a TRAP server's
// status. Problems that stop no client (a refused reload, one backend of several) do not count.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace trap::ctl {

struct Readiness {
  std::string service;
  std::string address; // public address and port
  std::string leads_to;
  std::string reason; // why it is not ready; empty if it is

  bool ready() const { return reason.empty(); }
};

// One entry for each public address of the service, or of every service if `service` is empty.
// `status` is the answer to GET /status of trap-server.
std::vector<Readiness> readiness_of(const nlohmann::ordered_json& status,
                                    const std::string& service);

} // namespace trap::ctl
