// SPDX-License-Identifier: Apache-2.0
// trap-server's answer to GET /status. Apart from server_part.cpp because JSON is slow to compile.
#include "runtime/status_json.h"
#include "server/daemon/server_part.h"

namespace trap::server {
namespace {

using nlohmann::ordered_json;

ordered_json service_json(const PlannedService& planned, const VerdictCounts& counts) {
  auto backends = ordered_json::array();
  for (const BackendConfig& backend : planned.service->backends) {
    if (family_of(backend.endpoint.address) == family_of(planned.address.address))
      backends.push_back({{"address", format_endpoint(backend.endpoint)}, {"guard", backend.guard}, {"weight", backend.weight}});
  }
  return {{"name", planned.service->name},
          {"address", format_endpoint(planned.address)},
          {"offer", planned.service->offer},
          {"backends", backends},
          {"counters", counters_json(counts)}};
}

} // namespace

void ServerPart::describe(ordered_json& status, std::vector<std::string>& problems) {
  status["interfaces"] = interfaces_json(attachments_.states(), problems);
  CounterReader counters(maps_->fds().counters);
  VerdictCounts sum = counters.read(0);
  auto services = ordered_json::array();
  for (const PlannedService& planned : plan_.services) {
    VerdictCounts counts = counters.read(planned.slot);
    add_counts(sum, counts);
    services.push_back(service_json(planned, counts));
  }
  status["services"] = services;
  status["counters"] = counters_json(sum);
  status["keys"] = keys_json(settings_->cookie_keys, problems);
  const AnnounceCounts& announced = announcer_->counts();
  status["announcements"] = {{"sent", announced.sent},
                             {"deduplicated", announced.deduplicated},
                             {"rate_limited", announced.rate_limited},
                             {"failed", announced.failed}};
}

} // namespace trap::server
