// SPDX-License-Identifier: Apache-2.0
#include "runtime/packet/knock_segment.h"

#include <cstring>
#include <netinet/tcp.h>

#include "dataplane/checksum.h"
#include "dataplane/syn_options.h"

namespace trap {
namespace {

constexpr std::uint16_t kWindow = 64240;

// docs/protocol.md 11: an ACK with ACCEPT is as long as the RST with REDIRECT.
std::size_t accept_bytes(trap_family family, bool experimental) {
  return (family == TRAP_IPV4 ? 24u : 36u) + (experimental ? 4 : 0);
}

std::optional<Redirection> read_redirection(const trap_option_area& area, const trap_option& option,
                                            trap_family family) {
  const std::size_t address_bytes = family == TRAP_IPV4 ? 4 : 16;
  trap_redirect_body body;
  const __u8* at =
      trap_option_body(&area, &option, static_cast<__u32>(sizeof(body) + address_bytes));
  if (!at)
    return std::nullopt;
  std::memcpy(&body, at, sizeof(body));
  Redirection redirection;
  if (family == TRAP_IPV4) {
    __be32 v4;
    std::memcpy(&v4, at + sizeof(body), sizeof(v4));
    redirection.backend.address = trap_address_v4(v4);
  } else {
    std::memcpy(&redirection.backend.address, at + sizeof(body), address_bytes);
  }
  redirection.backend.port = TRAP_FROM_BE16(body.port);
  redirection.lifetime_s = TRAP_FROM_BE16(body.lifetime_s);
  redirection.ticket = body.ticket;
  return redirection;
}

std::vector<std::uint8_t> syn_options(trap_family family) {
  const std::uint16_t mss = family == TRAP_IPV4 ? 1460 : 1440;
  return {TRAP_TCPOPT_MSS,
          4,
          static_cast<std::uint8_t>(mss >> 8),
          static_cast<std::uint8_t>(mss & 0xff),
          TRAP_TCPOPT_NOP,
          TRAP_TCPOPT_NOP,
          TRAP_TCPOPT_SACK_PERMITTED,
          2,
          TRAP_TCPOPT_NOP,
          TRAP_TCPOPT_WINDOW_SCALE,
          3,
          7};
}

// A TRAP option behind what `options` has, in whole words.
void append_option(std::vector<std::uint8_t>& options, trap_option_type type, bool experimental,
                   const void* body, std::size_t bytes) {
  std::uint8_t header[TRAP_HEADER_BYTES_EXPERIMENTAL];
  const __u32 header_bytes = trap_put_header(header, type, static_cast<__u32>(bytes), experimental);
  options.insert(options.end(), header, header + header_bytes);
  const auto* from = static_cast<const std::uint8_t*>(body);
  options.insert(options.end(), from, from + bytes);
  while (options.size() % 4 != 0)
    options.push_back(TRAP_TCPOPT_NOP);
}

std::vector<std::uint8_t> options_of(const KnockSegment& segment, const trap_ticket* ticket) {
  const trap_family family = family_of(segment.from.address);
  std::vector<std::uint8_t> options;
  if (segment.flags == TRAP_TCP_SYN)
    options = syn_options(family);
  if (segment.option == TRAP_TICKET && ticket) {
    const trap_ticket_body body = {.flags = 0, .ticket = *ticket};
    append_option(options, TRAP_TICKET, segment.experimental, &body, sizeof(body));
  }
  if (segment.option == TRAP_ACCEPT) {
    const trap_hello_body body = {};
    append_option(options, TRAP_ACCEPT, segment.experimental, &body, sizeof(body));
    options.resize(accept_bytes(family, segment.experimental)); // zeros: the list ends
  }
  return options;
}

} // namespace

std::optional<KnockSegment> read_segment(const trap_address& from, const trap_address& to,
                                         const std::uint8_t* segment, std::size_t bytes) {
  tcphdr tcp;
  if (bytes < sizeof(tcp))
    return std::nullopt;
  std::memcpy(&tcp, segment, sizeof(tcp));
  const std::size_t header_bytes = std::size_t{tcp.doff} * 4;
  if (header_bytes < sizeof(tcp) || header_bytes > bytes)
    return std::nullopt;
  KnockSegment read = {.from = {from, TRAP_FROM_BE16(tcp.source)},
                       .to = {to, TRAP_FROM_BE16(tcp.dest)},
                       .flags = segment[13],
                       .seq = TRAP_FROM_BE32(tcp.seq),
                       .ack = TRAP_FROM_BE32(tcp.ack_seq)};
  trap_option_area area;
  const trap_option option = trap_find_option(&area, segment, segment + bytes,
                                              static_cast<__u32>(header_bytes), family_of(from));
  read.option = static_cast<trap_option_type>(option.type);
  read.experimental = option.experimental != 0;
  read.bad_option = option.defect != TRAP_PASS_OTHER;
  if (read.option == TRAP_REDIRECT)
    read.redirection = read_redirection(area, option, family_of(from));
  return read;
}

std::vector<std::uint8_t> write_segment(const KnockSegment& segment, const trap_ticket* ticket) {
  const std::vector<std::uint8_t> options = options_of(segment, ticket);
  std::vector<std::uint8_t> bytes(sizeof(tcphdr) + options.size());
  tcphdr tcp = {};
  tcp.source = TRAP_BE16(segment.from.port);
  tcp.dest = TRAP_BE16(segment.to.port);
  tcp.seq = TRAP_BE32(segment.seq);
  tcp.ack_seq = TRAP_BE32(segment.ack);
  tcp.doff = static_cast<std::uint8_t>(bytes.size() / 4) & 0xf;
  tcp.window = TRAP_BE16(kWindow);
  std::memcpy(bytes.data(), &tcp, sizeof(tcp));
  bytes[13] = segment.flags;
  std::memcpy(bytes.data() + sizeof(tcp), options.data(), options.size());
  __u64 sum = trap_sum_pseudo(&segment.from.address, &segment.to.address,
                              family_of(segment.from.address), static_cast<__u32>(bytes.size()));
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint32_t)) {
    std::uint32_t word;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    sum += word;
  }
  tcp.check = trap_sum_fold(sum);
  std::memcpy(bytes.data() + offsetof(tcphdr, check), &tcp.check, sizeof(tcp.check));
  return bytes;
}

} // namespace trap
