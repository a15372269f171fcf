// SPDX-License-Identifier: Apache-2.0
// Says if a service can take clients now, for routers and load balancers: GET /ready. Problems that
// stop no client do not count; /status lists those.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace trap {

// One public address of a service.
struct Readiness {
  std::string service;
  std::string address;
  std::string leads_to; // the places to which its clients are led
  std::string reason;   // why it is not ready; empty if it is

  bool ready() const { return reason.empty(); }
};

// An answer of GET /ready or /ready/SERVICE: 200 all are ready, 503 one is not, 404 no such
// service.
struct ReadyAnswer {
  int http_status;
  std::string json; // {"ready", "services"} or {"error"}
};

// `services` are all of a part's; of them `service` alone counts, unless it is empty.
ReadyAnswer ready_answer(const std::vector<Readiness>& services, const std::string& service);

// Of a part whose start is under way.
ReadyAnswer starting_answer();

} // namespace trap
