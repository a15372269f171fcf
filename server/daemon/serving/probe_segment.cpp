// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/probe_segment.h"

#include <cstring>
#include <netinet/tcp.h>

#include "dataplane/checksum.h"
#include "dataplane/syn_options.h"

namespace trap::server {
namespace {

constexpr std::uint16_t kWindow = 64240;
constexpr std::uint8_t kWindowScale = 7;
constexpr std::size_t kOptionBytes = 20;
constexpr std::size_t kSegmentBytes = sizeof(tcphdr) + kOptionBytes;

__be16 checksum_of(const Endpoint& listener, const std::uint8_t (&segment)[kSegmentBytes]) {
  __u64 sum = trap_sum_pseudo(&listener.address, &listener.address, family_of(listener.address),
                              kSegmentBytes);
  for (std::size_t at = 0; at < kSegmentBytes; at += sizeof(std::uint32_t)) {
    std::uint32_t word;
    std::memcpy(&word, segment + at, sizeof(word));
    sum += word;
  }
  return trap_sum_fold(sum);
}

} // namespace

std::vector<std::uint8_t> build_probe(const Endpoint& listener, const ProbeSyn& syn) {
  const std::uint16_t mss = family_of(listener.address) == TRAP_IPV4 ? 1460 : 1440;
  const __be32 timestamp = TRAP_BE32(syn.timestamp);
  std::uint8_t options[kOptionBytes] = {TRAP_TCPOPT_MSS,
                                        4,
                                        static_cast<std::uint8_t>(mss >> 8),
                                        static_cast<std::uint8_t>(mss & 0xff),
                                        TRAP_TCPOPT_SACK_PERMITTED,
                                        2,
                                        TRAP_TCPOPT_TIMESTAMPS,
                                        10};
  std::memcpy(options + 8, &timestamp, sizeof(timestamp)); // the echo behind it is zero
  const std::uint8_t last[] = {TRAP_TCPOPT_NOP, TRAP_TCPOPT_WINDOW_SCALE, 3, kWindowScale};
  std::memcpy(options + 16, last, sizeof(last));

  tcphdr tcp = {};
  tcp.source = TRAP_BE16(syn.source_port);
  tcp.dest = TRAP_BE16(listener.port);
  tcp.seq = TRAP_BE32(syn.sequence);
  tcp.doff = kSegmentBytes / 4;
  tcp.syn = 1;
  tcp.window = TRAP_BE16(kWindow);
  std::uint8_t segment[kSegmentBytes];
  std::memcpy(segment, &tcp, sizeof(tcp));
  std::memcpy(segment + sizeof(tcp), options, sizeof(options));
  tcp.check = checksum_of(listener, segment);
  std::memcpy(segment, &tcp, sizeof(tcp));
  return {segment, segment + kSegmentBytes};
}

ProbeReply read_reply(const Endpoint& listener, const ProbeSyn& syn, const std::uint8_t* segment,
                      std::size_t bytes, ListenerAnswer& answer) {
  tcphdr tcp;
  if (bytes < sizeof(tcp))
    return ProbeReply::none;
  std::memcpy(&tcp, segment, sizeof(tcp));
  const std::size_t header_bytes = std::size_t{tcp.doff} * 4;
  if (header_bytes < sizeof(tcp) || header_bytes > bytes)
    return ProbeReply::none;
  if (tcp.source != TRAP_BE16(listener.port) || tcp.dest != TRAP_BE16(syn.source_port) ||
      !tcp.ack || tcp.ack_seq != TRAP_BE32(syn.sequence + 1))
    return ProbeReply::none;
  if (tcp.rst) {
    answer = {};
    return ProbeReply::reset;
  }
  if (!tcp.syn)
    return ProbeReply::none;
  trap_syn_options options;
  trap_read_syn_options(&options, segment, segment + bytes, static_cast<__u32>(header_bytes));
  answer = {.answers = true,
            .mss = options.has_mss ? options.mss : std::uint16_t{536}, // RFC 9293 3.7.1
            .window = static_cast<std::uint16_t>(TRAP_FROM_BE16(tcp.window)),
            .window_scale = options.has_window_scale ? options.window_scale : -1,
            .sack = options.sack != 0,
            .timestamps = options.has_timestamps != 0};
  return ProbeReply::syn_ack;
}

} // namespace trap::server
