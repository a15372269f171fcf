// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/report/client_explain.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "runtime/config/endpoint.h"
#include "runtime/control/explain_json.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/nanoseconds.h"
#include "trap_client.skel.h"

namespace trap::client {
namespace {

trap_tuple tuple_of(const ExplainRequest& request, const trap_packet& packet) {
  trap_tuple tuple = {};
  tuple.local = request.outgoing ? packet.source : packet.destination;
  tuple.remote = request.outgoing ? packet.destination : packet.source;
  tuple.local_port = request.outgoing ? packet.source_port : packet.destination_port;
  tuple.remote_port = request.outgoing ? packet.destination_port : packet.source_port;
  return tuple;
}

std::string end_text(const trap_address& address, __be16 port) {
  return format_endpoint({address, TRAP_FROM_BE16(port)});
}

std::string redirect_text(const trap_tuple& tuple, const trap_redirect& redirect,
                          std::uint64_t now_ns) {
  const std::string what =
      fmt::format("redirect of {} for {} to {}", end_text(tuple.remote, tuple.remote_port),
                  format_address(tuple.local), end_text(redirect.backend, redirect.port));
  if (redirect.until_ns <= now_ns)
    return fmt::format("{}, over for {}", what,
                       duration_text((now_ns - redirect.until_ns) / ns_per_s));
  return fmt::format("{}, learnt {} ago, for {} more", what,
                     duration_text((now_ns - redirect.learnt_ns) / ns_per_s),
                     duration_text((redirect.until_ns - now_ns) / ns_per_s));
}

const char* state_text(std::uint8_t state) {
  switch (state) {
  case TRAP_SYN_SENT:
    return "no answer yet";
  case TRAP_ACCEPT_SENT:
    return "its OFFER was accepted";
  case TRAP_SYN_ACK_PASSED:
    return "its SYN-ACK went to the application";
  case TRAP_REDIRECTED:
    return "it was redirected";
  default:
    return "it was redirected, and the service has answered";
  }
}

std::string fallback_text(const trap_fallback& fallback, std::uint64_t now_ns) {
  std::string what;
  if (fallback.flags & TRAP_FALLBACK_UNTICKETED)
    what += "; SYNs got through only without their ticket";
  if (fallback.flags & TRAP_FALLBACK_SERVED)
    what += "; redirects led nowhere, and the TRAP server serves";
  if (fallback.flags & TRAP_FALLBACK_RESET)
    what += "; no redirect came, and the TRAP server resets";
  if (fallback.flags & TRAP_FALLBACK_UNREACHABLE)
    what += fmt::format("; {} did not answer", end_text(fallback.backend, fallback.port));
  if (fallback.flags & TRAP_FALLBACK_UNCONSENTED)
    what += fmt::format("; {} answered without CONSENT", end_text(fallback.backend, fallback.port));
  return fmt::format("remembered of this service for {} more: {}",
                     duration_text((fallback.until_ns - now_ns) / ns_per_s),
                     what.substr(std::min<std::size_t>(2, what.size())));
}

// The local port that stands for another on the wire; nothing in the first lane.
std::string lane_text(__be16 port, std::uint32_t flow_flags) {
  const std::uint32_t lane = trap_lane(flow_flags);
  return lane == 0 ? ""
                   : fmt::format(", by local port {}", TRAP_FROM_BE16(trap_lane_port(port, lane)));
}

} // namespace

ClientExplainer::ClientExplainer(const RunningClient& client) : client_(client) {}
ClientExplainer::~ClientExplainer() = default;

Result<void> ClientExplainer::load_twin() {
  if (twin_)
    return {};
  auto twin = Program<trap_client>::load_twin(client_.program.object(), [](trap_client& skeleton) {
    choose_programs(skeleton, Side::host, Framing::ethernet);
  });
  if (!twin)
    return twin.error();
  twin_ = std::move(*twin);
  return {};
}

// The facts that the maps hold about the packet's connection.
std::vector<std::string> ClientExplainer::reasons_of(const ExplainRequest& request,
                                                     const trap_packet& packet) const {
  std::vector<std::string> because;
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  const trap_tuple tuple = tuple_of(request, packet);
  const auto& maps = client_.program->maps;
  if (auto outward = map_read<trap_outward>(bpf_map__fd(maps.to_backend), tuple))
    because.push_back(fmt::format("connection is redirected to {}{}; SYNs sent there: {}",
                                  end_text(outward->backend, outward->port),
                                  lane_text(tuple.local_port, outward->flags), outward->syns));
  if (auto inward = map_read<trap_inward>(bpf_map__fd(maps.to_public), tuple))
    because.push_back(fmt::format("connection was redirected here from {}{}",
                                  end_text(inward->service, inward->port),
                                  lane_text(tuple.local_port, inward->flags)));
  auto syn = map_read<trap_pending>(bpf_map__fd(maps.pending), tuple);
  if (!syn)
    syn = map_read<trap_pending>(bpf_map__fd(maps.pending_crowd), tuple);
  if (syn)
    because.push_back(fmt::format("a SYN of this connection is remembered (seq={}): {}",
                                  TRAP_FROM_BE32(syn->isn), state_text(syn->state)));
  trap_redirect_key key = {};
  key.local = tuple.local;
  key.service = tuple.remote;
  key.port = tuple.remote_port;
  if (auto redirect = map_read<trap_redirect>(client_.fds.redirects, key))
    because.push_back(redirect_text(tuple, *redirect, now_ns));
  if (auto fallback = map_read<trap_fallback>(bpf_map__fd(maps.fallbacks), key);
      fallback && fallback->until_ns > now_ns)
    because.push_back(fallback_text(*fallback, now_ns));
  if (!request.outgoing &&
      trust_of(client_.fds.trust, {tuple.remote, TRAP_FROM_BE16(tuple.remote_port)}))
    because.emplace_back("a [[trust]] of the configuration says where this service may redirect");
  if (because.empty())
    because.push_back(fmt::format(
        "nothing is known of a connection {} {} {}", end_text(tuple.local, tuple.local_port),
        request.outgoing ? "to" : "from", end_text(tuple.remote, tuple.remote_port)));
  return because;
}

Result<std::string> ClientExplainer::explain(const ExplainRequest& request) {
  if (auto loaded = load_twin(); !loaded)
    return loaded.error();
  const bpf_program* program =
      request.outgoing ? twin_->progs.trap_client_egress : twin_->progs.trap_client_ingress;
  auto explained = explain_frame(bpf_program__fd(program), request.frame);
  if (!explained)
    return explained.error();
  Reasons reasons;
  trap_packet packet = {};
  if (trap_read_frame(&packet, request.frame.data(), request.frame.data() + request.frame.size()) ==
      TRAP_LAYER_TCP)
    reasons.because = reasons_of(request, packet);
  else
    reasons.because.emplace_back("it is no whole TCP segment over IP");
  if (trap_verdict_action(explained->verdict) == TRAP_ACTION_PASS &&
      explained->frame != request.frame)
    reasons.becomes = format_packet(explained->frame);
  return explanation_json(client_.active->config.part.part, request, *explained, reasons);
}

} // namespace trap::client
