// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/probe_segment.h"

#include "runtime/packet/segment.h"
#include "runtime/packet/tcp_options.h"

namespace trap::server {
namespace {

constexpr std::uint8_t window_scale = 7;
constexpr std::uint16_t default_mss = 536; // RFC 9293 3.7.1

ListenerAnswer answer_of(const HandshakeSegment& syn_ack) {
  const SynOptions& options = syn_ack.syn_options;
  return {.answers = true,
          .mss = options.mss.value_or(default_mss),
          .window = syn_ack.window,
          .window_scale = options.window_scale ? *options.window_scale : -1,
          .sack = options.sack,
          .timestamps = options.timestamps};
}

} // namespace

std::vector<std::uint8_t> build_probe(const Endpoint& listener, const ProbeSyn& syn) {
  return build_transport(Segment{.from = {listener.address, syn.source_port},
                                 .to = listener,
                                 .seq = syn.sequence,
                                 .flags = tcp_syn,
                                 .options = TcpOptions()
                                                .mss(usual_mss(family_of(listener.address)))
                                                .sack_permitted()
                                                .timestamps(syn.timestamp, 0)
                                                .nop()
                                                .window_scale(window_scale)
                                                .bytes()});
}

ProbeReply read_reply(const Endpoint& listener, const ProbeSyn& syn,
                      const std::optional<HandshakeSegment>& segment, ListenerAnswer& answer) {
  const Endpoint probe = {listener.address, syn.source_port};
  if (!segment || segment->from != listener || segment->to != probe ||
      !(segment->flags & tcp_ack) || segment->ack != syn.sequence + 1)
    return ProbeReply::none;
  if (segment->flags & tcp_rst) {
    answer = {};
    return ProbeReply::reset;
  }
  if (!(segment->flags & tcp_syn))
    return ProbeReply::none;
  answer = answer_of(*segment);
  return ProbeReply::syn_ack;
}

} // namespace trap::server
