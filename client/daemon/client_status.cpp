// SPDX-License-Identifier: Apache-2.0
// trap-client's answer to GET /status. Apart from client_part.cpp because JSON is slow to compile.
#include <fmt/core.h>

#include "client/daemon/client_part.h"
#include "client/daemon/held_redirects.h"
#include "runtime/config/endpoint.h"
#include "runtime/control/status_json.h"
#include "runtime/keys/clock_writer.h"

namespace trap::client {

using nlohmann::ordered_json;

namespace {

ordered_json redirects_json(const std::vector<HeldRedirect>& held) {
  auto redirects = ordered_json::array();
  for (const HeldRedirect& redirect : held)
    redirects.push_back({{"service", format_endpoint(redirect.service)},
                         {"local", format_address(redirect.local)},
                         {"backend", format_endpoint(redirect.backend)},
                         {"expires_in_s", redirect.expires_in_s},
                         {"age_s", redirect.age_s},
                         {"learnt_from", redirect.from_reset ? "reset" : "handshake"},
                         {"option_kind", redirect.experimental ? "experimental" : "reserved"},
                         {"connections", redirect.connections},
                         {"connections_unticketed", redirect.unticketed}});
  return redirects;
}

ordered_json fallbacks_json(const std::vector<HeldFallback>& held) {
  auto fallbacks = ordered_json::array();
  for (const HeldFallback& fallback : held)
    fallbacks.push_back({{"service", format_endpoint(fallback.service)},
                         {"local", format_address(fallback.local)},
                         {"expires_in_s", fallback.expires_in_s},
                         {"unticketed", fallback.unticketed},
                         {"served", fallback.served}});
  return fallbacks;
}

} // namespace

ordered_json ClientPart::interfaces_json(std::vector<std::string>& problems) const {
  auto interfaces = ordered_json::array();
  problems.insert(problems.end(), plan_.problems.begin(), plan_.problems.end());
  for (const PlannedInterface& interface : plan_.interfaces) {
    const Attachments::State state = attachments_.state_of(interface);
    interfaces.push_back({{"name", interface.name},
                          {"index", interface.index},
                          {"side", side_name(interface.side)},
                          {"framing", framing_name(interface.framing)},
                          {"attached", state.attached},
                          {"ingress_program_id", state.ingress_id},
                          {"egress_program_id", state.egress_id}});
    if (!state.attached)
      problems.push_back(fmt::format("interface {} has not this daemon's filters", interface.name));
  }
  for (const std::string& name : plan_.missing)
    interfaces.push_back({{"name", name}, {"index", 0}, {"attached", false}});
  return interfaces;
}

void ClientPart::describe(ordered_json& status, std::vector<std::string>& problems) {
  status["interfaces"] = interfaces_json(problems);
  status["allow_private_targets"] = config_.allow_private_targets;
  status["only_trusted"] = config_.only_trusted;
  status["trusts"] = config_.trusts.size();
  const RenewalCounts& renewals = renewer_.counts();
  status["renewals"] = {{"on", config_.renew},
                        {"sent", renewals.sent},
                        {"renewed", renewals.renewed},
                        {"failed", renewals.failed}};
  status["counters"] = counters_json(CounterReader(counters_fd_).read(0));
  status["redirects"] =
      redirects_json(read_redirects(redirects_fd_, to_backend_fd_, read_clocks().monotonic_ns));
  status["fallbacks"] = fallbacks_json(read_fallbacks(fallbacks_fd_, read_clocks().monotonic_ns));
}

} // namespace trap::client
