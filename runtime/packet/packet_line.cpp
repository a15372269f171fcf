// SPDX-License-Identifier: Apache-2.0
// From a frame to its line.
#include <cstring>
#include <vector>

#include <fmt/core.h>

#include "dataplane/options.h"
#include "dataplane/syn_options.h"
#include "runtime/packet/packet_draft.h"
#include "runtime/verdict_text.h"

namespace trap {
namespace {

std::uint32_t read_number(const std::uint8_t* at, int bytes) {
  std::uint32_t number = 0;
  for (int i = 0; i < bytes; i++)
    number = number << 8 | at[i];
  return number;
}

std::string flags_text(std::uint8_t flags) {
  std::string text;
  for (const FlagName& flag : kFlagNames) {
    if (flags & flag.bit)
      text += std::string(" ") + flag.name;
  }
  return text;
}

// The body of an option of ours.
std::string trap_option_text(std::uint32_t type, const std::uint8_t* body, std::size_t bytes) {
  switch (type) {
  case TRAP_OFFER:
    return " offer";
  case TRAP_ACCEPT:
    return " accept";
  case TRAP_TICKET:
    return " ticket=" + format_hex(body + 1, bytes - 1);
  case TRAP_REDIRECT:
    return " redirect=" + format_hex(body, bytes);
  default:
    return " announce=" + format_hex(body, bytes);
  }
}

// An option of ours, well-formed or not; the one the walk found is well-formed if `option` says so.
std::string our_option_text(const trap_option_area& area, std::uint32_t at) {
  const trap_option option = trap_read_option(&area, at);
  if (option.type == TRAP_OPTION_NONE)
    return " malformed-option=" + format_hex(area.bytes + at, area.bytes[at + 1]);
  const std::size_t body_bytes = trap_body_bytes(option.type, area.address_bytes);
  return trap_option_text(option.type, area.bytes + option.body_offset, body_bytes) +
         (option.experimental ? " experimental" : "");
}

std::string option_text(const trap_option_area& area, std::uint32_t at) {
  const std::uint8_t* option = area.bytes + at;
  const std::uint32_t length = option[1];
  if (trap_is_our_kind(option, length))
    return our_option_text(area, at);
  if (option[0] == TRAP_TCPOPT_MSS && length == 4)
    return fmt::format(" mss={}", read_number(option + 2, 2));
  if (option[0] == TRAP_TCPOPT_WINDOW_SCALE && length == 3)
    return fmt::format(" wscale={}", option[2]);
  if (option[0] == TRAP_TCPOPT_SACK_PERMITTED && length == 2)
    return " sack-perm";
  if (option[0] == TRAP_TCPOPT_TIMESTAMPS && length == 10)
    return fmt::format(" timestamp={}:{}", read_number(option + 2, 4), read_number(option + 6, 4));
  return fmt::format(" option-{}={}", option[0], format_hex(option + 2, length - 2));
}

std::string options_text(const trap_packet& packet, const Frame& frame) {
  trap_option_area area;
  trap_copy_options(&area, frame.data() + packet.l4_offset, frame.data() + frame.size(),
                    packet.header_bytes, packet.family);
  std::string text;
  for (std::uint32_t at = 0; at < area.used && area.bytes[at] != TRAP_TCPOPT_EOL;) {
    if (area.bytes[at] == TRAP_TCPOPT_NOP) {
      text += " nop";
      at++;
      continue;
    }
    const std::uint32_t length = area.bytes[at + 1];
    if (length < 2 || at + length > area.used)
      return text + " malformed-options";
    text += option_text(area, at);
    at += length;
  }
  return text;
}

std::string vlans_text(const trap_packet& packet, const Frame& frame) {
  std::string text;
  for (std::size_t at = ETH_HLEN; at + 4 <= packet.l3_offset; at += 4)
    text += fmt::format(" vlan={}", read_number(&frame[at], 2) & 0xfff);
  return text;
}

bool ipv4_checksum_is_wrong(const trap_packet& packet, const Frame& frame) {
  std::uint32_t sum = 0;
  for (std::size_t at = packet.l3_offset; at + 2 <= packet.l4_offset; at += 2)
    sum += read_number(&frame[at], 2);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return packet.family == TRAP_IPV4 && sum != 0xffff;
}

std::string segment_text(const trap_packet& packet, const Frame& frame) {
  std::string text = flags_text(packet.flags);
  if (packet.seq)
    text += fmt::format(" seq={}", TRAP_FROM_BE32(packet.seq));
  if (packet.ack)
    text += fmt::format(" ack={}", TRAP_FROM_BE32(packet.ack));
  if (TRAP_FROM_BE16(packet.window) != kDefaultWindow)
    text += fmt::format(" window={}", TRAP_FROM_BE16(packet.window));
  text += options_text(packet, frame);
  if (trap_payload_bytes(&packet))
    text += fmt::format(" payload={}", trap_payload_bytes(&packet));
  return text + (ipv4_checksum_is_wrong(packet, frame) ? " bad-checksum" : "");
}

std::string ends_text(const trap_packet& packet) {
  if (!packet.has_ports)
    return fmt::format("tcp {} > {}", format_address(packet.source),
                       format_address(packet.destination));
  return fmt::format(
      "tcp {} > {}", format_endpoint({packet.source, TRAP_FROM_BE16(packet.source_port)}),
      format_endpoint({packet.destination, TRAP_FROM_BE16(packet.destination_port)}));
}

// The packet view reads headers as words: the frame has to lie as drivers lay it, 2 bytes behind a
// word (NET_IP_ALIGN), and frames in memory or from a file need not.
trap_layer read_view(trap_packet& packet, const Frame& frame) {
  constexpr std::size_t ip_align = 2;
  std::vector<std::uint8_t> aligned(ip_align);
  aligned.insert(aligned.end(), frame.begin(), frame.end());
  packet = {};
  return trap_read_frame(&packet, aligned.data() + ip_align, aligned.data() + aligned.size());
}

} // namespace

std::string format_hex(const std::uint8_t* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; i++)
    text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string format_packet(const Frame& frame) {
  trap_packet packet;
  switch (read_view(packet, frame)) {
  case TRAP_LAYER_TCP:
    return ends_text(packet) + segment_text(packet, frame) + vlans_text(packet, frame);
  case TRAP_LAYER_DEFECTIVE:
    if (packet.defect == TRAP_DROP_VLAN_TAGS)
      return fmt::format("a frame of {} bytes behind{} and more", frame.size(),
                         vlans_text(packet, frame));
    return ends_text(packet) +
           (packet.defect == TRAP_DROP_FRAGMENT
                ? " fragment"
                : fmt::format(" ({})", verdict_name(packet.defect))) +
           vlans_text(packet, frame);
  default:
    return fmt::format("no TCP: a frame of {} bytes", frame.size());
  }
}

} // namespace trap
