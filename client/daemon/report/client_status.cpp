// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/redirects/held_redirects.h"
#include "client/daemon/report/client_report.h"
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
  for (const HeldFallback& fallback : held) {
    fallbacks.push_back({{"service", format_endpoint(fallback.service)},
                         {"local", format_address(fallback.local)},
                         {"expires_in_s", fallback.expires_in_s},
                         {"unticketed", fallback.unticketed},
                         {"served", fallback.served},
                         {"reset", fallback.reset}});
    if (fallback.unconsented)
      fallbacks.back()["unconsented"] = format_endpoint(*fallback.unconsented);
  }
  return fallbacks;
}

ordered_json interfaces_json(const RunningClient& client) {
  auto interfaces = ordered_json::array();
  for (const PlannedInterface& interface : client.plan.interfaces) {
    const Attachments::State state = client.attachments.state_of(interface);
    interfaces.push_back({{"name", interface.name},
                          {"index", interface.index},
                          {"side", side_name(interface.side)},
                          {"framing", framing_name(interface.framing)},
                          {"attached", state.attached},
                          {"ingress_program_id", state.ingress_id},
                          {"egress_program_id", state.egress_id}});
    add_programs_before(interfaces.back(), state.before);
  }
  for (const std::string& name : client.plan.missing)
    interfaces.push_back({{"name", name}, {"index", 0}, {"attached", false}});
  return interfaces;
}

} // namespace

void describe_client(const RunningClient& client, ordered_json& status) {
  status["interfaces"] = interfaces_json(client);
  status["allow_private_targets"] = client.active->config.allow_private_targets;
  status["only_trusted"] = client.active->config.only_trusted;
  status["require_consent"] = client.active->config.require_consent;
  const auto translator = translator_of(client, client.active->config);
  status["translator"] = !translator             ? "not known"
                         : translator->bits == 0 ? "none"
                                                 : format_prefix(*translator);
  status["routing"] = client.routing_unknown.empty() ? "followed" : "not known";
  status["trusts"] = client.active->config.trusts.size();
  const RenewalCounts& renewals = client.renewer.counts();
  status["renewals"] = {{"on", client.active->config.renew},
                        {"sent", renewals.sent},
                        {"renewed", renewals.renewed},
                        {"failed", renewals.failed}};
  status["counters"] = counters_json(CounterReader(client.fds.counters).read(0));
  status["redirects"] = redirects_json(
      read_redirects(client.fds.redirects, client.fds.to_backend, read_clocks().monotonic_ns));
  status["fallbacks"] =
      fallbacks_json(read_fallbacks(client.fds.fallbacks, read_clocks().monotonic_ns));
}

} // namespace trap::client
