// SPDX-License-Identifier: Apache-2.0
#include "runtime/packet/handshake.h"

#include <cstring>

#include "dataplane/packet.h"
#include "dataplane/syn_options.h"
#include "runtime/packet/tcp_options.h"

namespace trap {
namespace {

constexpr std::uint8_t window_scale = 7;

static_assert(tcp_fin == TRAP_TCP_FIN && tcp_syn == TRAP_TCP_SYN && tcp_rst == TRAP_TCP_RST &&
              tcp_psh == TRAP_TCP_PSH && tcp_ack == TRAP_TCP_ACK);

std::size_t redirect_option_bytes(trap_family family, bool experimental) {
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

SynOptions read_syn_options(const trap_packet& packet, const std::uint8_t* tcp,
                            const std::uint8_t* end) {
  trap_syn_options read;
  trap_read_syn_options(&read, tcp, end, packet.header_bytes);
  SynOptions options = {.sack = read.sack != 0, .timestamps = read.has_timestamps != 0};
  if (read.has_mss)
    options.mss = read.mss;
  if (read.has_window_scale)
    options.window_scale = read.window_scale;
  return options;
}

HandshakeSegment from_view(const trap_packet& packet, const std::uint8_t* tcp,
                           const std::uint8_t* end) {
  const auto family = static_cast<trap_family>(packet.family);
  HandshakeSegment read = {.from = {packet.source, TRAP_FROM_BE16(packet.source_port)},
                           .to = {packet.destination, TRAP_FROM_BE16(packet.destination_port)},
                           .flags = packet.flags,
                           .seq = TRAP_FROM_BE32(packet.seq),
                           .ack = TRAP_FROM_BE32(packet.ack),
                           .window = TRAP_FROM_BE16(packet.window)};
  trap_option_area area;
  const trap_option option = trap_find_option(&area, tcp, end, packet.header_bytes, family);
  read.option = static_cast<trap_option_type>(option.type);
  read.experimental = option.experimental != 0;
  read.bad_option = option.defect != TRAP_OPTIONS_SOUND;
  if (read.option == TRAP_REDIRECT)
    read.redirection = read_redirection(area, option, family);
  read.syn_options = read_syn_options(packet, tcp, end);
  return read;
}

TcpOptions options_of(const HandshakeSegment& segment, const trap_ticket* ticket) {
  TcpOptions options;
  if (segment.flags == tcp_syn)
    options.mss(usual_mss(family_of(segment.from.address)))
        .nop(2)
        .sack_permitted()
        .nop()
        .window_scale(window_scale);
  if (segment.option == TRAP_TICKET && ticket) {
    const trap_ticket_body body = {.flags = 0, .ticket = *ticket};
    options.trap(TRAP_TICKET, bytes_of(body), segment.experimental).align();
  }
  if (segment.option == TRAP_ACCEPT)
    options.trap(TRAP_ACCEPT, bytes_of(trap_hello_body{}), segment.experimental).align();
  return options;
}

} // namespace

// The packet view reads whole words, so both readers give it a copy, which is aligned. A copy of
// nothing is nowhere, and the view may add nothing to that.
std::optional<HandshakeSegment> read_segment(const trap_address& from, const trap_address& to,
                                             const std::uint8_t* segment, std::size_t bytes) {
  if (bytes == 0)
    return std::nullopt;
  const Bytes copy(segment, segment + bytes);
  const std::uint8_t* const end = copy.data() + bytes;
  trap_packet view = {};
  view.source = from;
  view.destination = to;
  view.family = static_cast<__u8>(family_of(from));
  if (trap_read_tcp(&view, copy.data(), end, static_cast<__u32>(bytes)) != TRAP_LAYER_TCP)
    return std::nullopt;
  return from_view(view, copy.data(), end);
}

std::optional<HandshakeSegment> read_packet(const std::uint8_t* packet, std::size_t bytes) {
  if (bytes == 0)
    return std::nullopt;
  const Bytes copy(packet, packet + bytes);
  const std::uint8_t* const end = copy.data() + bytes;
  trap_packet view = {};
  if (trap_read_ip(&view, copy.data(), end) != TRAP_LAYER_TCP)
    return std::nullopt;
  return from_view(view, copy.data() + view.l4_offset, end);
}

Segment describe(const HandshakeSegment& segment, const trap_ticket* ticket) {
  Segment described = {.from = segment.from,
                       .to = segment.to,
                       .seq = segment.seq,
                       .ack = segment.ack,
                       .flags = segment.flags,
                       .options = options_of(segment, ticket).bytes()};
  if (segment.option == TRAP_ACCEPT) // zeros: the list of options ends
    described.options.resize(
        redirect_option_bytes(family_of(segment.from.address), segment.experimental));
  return described;
}

} // namespace trap
