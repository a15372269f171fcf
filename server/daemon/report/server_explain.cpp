// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/report/server_explain.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/core.h>

#include "dataplane/options.h"
#include "runtime/control/explain_json.h"
#include "runtime/keys/clock_writer.h"
#include "trap_server.skel.h"

namespace trap::server {
namespace {

bool covers(const ClientPrefix& prefix, const trap_address& address) {
  const trap_address masked = trap_address_mask(address, TRAP_IPV6, prefix.bits);
  return trap_address_equal(&masked, &prefix.address);
}

// The policy that a client's address meets: the longest prefix.
const PolicyEntry* find_policy(const ServiceConfig& service, const trap_address& client) {
  const PolicyEntry* found = nullptr;
  for (const PolicyEntry& entry : service.policies->entries) {
    if (covers(entry.prefix, client) && (!found || entry.prefix.bits > found->prefix.bits))
      found = &entry;
  }
  return found;
}

std::string policy_text(const ServiceConfig& service, const PolicyEntry& entry) {
  const PolicyRule& rule = service.policies->rules[entry.rule];
  const std::string what =
      rule.action == PolicyAction::deny ? "denies it"
      : rule.action == PolicyAction::serve
          ? "has it served"
          : fmt::format("sends it to pool \"{}\"{}", rule.pool,
                        rule.own_tag() ? fmt::format(" with tag {}", *rule.own_tag()) : "");
  return fmt::format("policy {} (line {}) {}", format_prefix(entry.prefix), rule.line, what);
}

std::string limit_text(const char* key, std::uint64_t per_s) {
  return fmt::format("{} = {}", key, per_s);
}

// The content of the answer's REDIRECT; empty if it has none.
std::string redirect_text(const Frame& answer) {
  trap_packet packet = {};
  const std::uint8_t* end = answer.data() + answer.size();
  if (trap_read_frame(&packet, answer.data(), end) != TRAP_LAYER_TCP)
    return "";
  trap_option_area area;
  const trap_option option = trap_find_option(&area, trap_l4(&packet, answer.data()), end,
                                              packet.header_bytes, packet.family);
  if (option.type != TRAP_REDIRECT)
    return "";
  trap_redirect_body body;
  std::memcpy(&body, area.bytes + option.body_offset, sizeof(body));
  const std::uint8_t* at = area.bytes + option.body_offset + sizeof(body);
  trap_address backend = {};
  if (packet.family == TRAP_IPV4) {
    __be32 address;
    std::memcpy(&address, at, sizeof(address));
    backend = trap_address_v4(address);
  } else {
    std::memcpy(&backend, at, sizeof(backend));
  }
  return fmt::format("the answer names backend {} for {}, with a ticket of tag {}",
                     format_endpoint({backend, TRAP_FROM_BE16(body.port)}),
                     duration_text(TRAP_FROM_BE16(body.lifetime_s)), body.ticket.tag);
}

} // namespace

ServerExplainer::ServerExplainer(const RunningServer& server) : server_(server) {}
ServerExplainer::~ServerExplainer() = default;

Result<void> ServerExplainer::load_twin() {
  if (twin_)
    return {};
  auto twin =
      Program<trap_server>::load_twin(server_.program.object(), [this](trap_server& skeleton) {
        prepare_skeleton(skeleton, server_.active->config);
      });
  if (!twin)
    return twin.error();
  twin_ = std::move(*twin);
  return {};
}

// The limit that drops packets with this verdict; empty: none does.
std::string ServerExplainer::limit_of(trap_verdict verdict, const ServiceConfig& service) const {
  const BudgetConfig& budget = server_.active->config.budget;
  switch (verdict) {
  case TRAP_DROP_CLIENT_BUDGET:
    return "its client has used up " +
           limit_text("client_handshakes_per_s", budget.client_handshakes_per_s);
  case TRAP_DROP_NETWORK_BUDGET:
    return "its client's network has used up " +
           limit_text("network_handshakes_per_s", budget.network_handshakes_per_s);
  case TRAP_DROP_SYN_ACK_CAP:
    return "this second has used up " + limit_text("syn_acks_per_s", budget.syn_acks_per_s);
  case TRAP_DROP_RESET_CAP:
    return "this second has used up " + limit_text("resets_per_s", budget.resets_per_s);
  case TRAP_DROP_SERVICE_CAP:
    return fmt::format("this second has used up the cap on SYN-ACKs of service \"{}\"",
                       service.name);
  default:
    return "";
  }
}

// The facts that the program judged by, in the order of its walk.
std::vector<std::string> ServerExplainer::reasons_of(const Explained& explained,
                                                     const PlannedService& planned,
                                                     const trap_packet& packet) const {
  std::vector<std::string> because;
  const ServiceConfig& service = *planned.service;
  if (!server_.runtime_state.is_active(planned))
    because.push_back("the service is at peace: activate = \"attack\", and there is none");
  if (explained.socket)
    because.push_back(
        fmt::format("the stack of this host has {} for it", socket_text(*explained.socket)));
  if (const PolicyEntry* policy = find_policy(service, packet.source))
    because.push_back(policy_text(service, *policy));
  if (explained.verdict == TRAP_DROP_BAD_COOKIE)
    because.push_back(
        fmt::format("ack={} acknowledges no SYN cookie of this minute or the one before",
                    TRAP_FROM_BE32(packet.ack)));
  if (explained.verdict == TRAP_DROP_NO_BACKEND)
    because.push_back(
        "no backend of the client's pool is up and active: see trapctl backend list " +
        service.name);
  if (explained.verdict == TRAP_DROP_NO_KEY)
    because.push_back(fmt::format("the present epoch is {}: see trapctl key status server",
                                  trap_epoch(read_clocks().unix_ns)));
  if (std::string limit = limit_of(explained.verdict, service); !limit.empty())
    because.push_back(limit);
  if (explained.verdict == TRAP_PASS_OTHER_MAC)
    because.push_back(fmt::format("this host has {} Ethernet addresses, and not this one",
                                  server_.own_macs.count()));
  if (explained.verdict == TRAP_REPLY_REDIRECT)
    because.push_back(redirect_text(explained.frame));
  if (explained.verdict == TRAP_REPLY_SYN_ACK)
    because.push_back(
        service.serves()
            ? "a client that completes the handshake is served, unless it accepts the offer"
            : "a client that completes the handshake is redirected");
  return because;
}

// A packet that was described and not captured comes to this host.
Frame ServerExplainer::addressed(Frame frame) const {
  const LinkAddress* own = server_.own_macs.any();
  if (own && frame.size() >= own->size() &&
      std::equal(described_destination.begin(), described_destination.end(), frame.begin()))
    std::ranges::copy(*own, frame.begin());
  return frame;
}

Result<std::string> ServerExplainer::explain(const ExplainRequest& request) {
  if (auto loaded = load_twin(); !loaded)
    return loaded.error();
  auto explained = explain_frame(bpf_program__fd(server_.active->config.attach == Attach::tc
                                                     ? twin_->progs.trap_server_tc
                                                     : twin_->progs.trap_server),
                                 addressed(request.frame));
  if (!explained)
    return explained.error();
  trap_packet packet = {};
  const trap_layer layer =
      trap_read_frame(&packet, request.frame.data(), request.frame.data() + request.frame.size());
  Reasons reasons;
  for (const PlannedService& planned : server_.active->plan.services) {
    if (planned.slot != explained->slot)
      continue;
    reasons.service =
        fmt::format("{} at {}", planned.service->name, format_endpoint(planned.address));
    reasons.because = reasons_of(*explained, planned, packet);
  }
  if (explained->verdict == TRAP_PASS_OTHER)
    reasons.because.push_back(
        layer == TRAP_LAYER_OTHER
            ? "it is no TCP over IP"
            : fmt::format(
                  "{} is no service here",
                  format_endpoint({packet.destination, TRAP_FROM_BE16(packet.destination_port)})));
  return explanation_json(server_.active->config.part.part, request, *explained, reasons);
}

} // namespace trap::server
