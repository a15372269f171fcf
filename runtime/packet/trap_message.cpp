// SPDX-License-Identifier: Apache-2.0
#include "runtime/packet/trap_message.h"

#include <cstring>

#include <fmt/core.h>

#include "runtime/config/endpoint.h"

namespace trap {
namespace {

using nlohmann::ordered_json;

template <typename Body> Body body_at(const std::uint8_t* at) {
  Body body;
  std::memcpy(&body, at, sizeof(body));
  return body;
}

void add_ticket(ordered_json& fields, const trap_ticket& ticket) {
  fields["ticket"] = {{"epoch_byte", ticket.epoch},
                      {"tag", ticket.tag},
                      {"expiry", TRAP_FROM_BE16(ticket.expiry)},
                      {"mac", format_hex(ticket.mac, sizeof(ticket.mac))}};
}

// The address behind a body.
std::string address_text(const std::uint8_t* at, std::uint32_t address_bytes) {
  trap_address address = {};
  if (address_bytes == 4) {
    __be32 bits;
    std::memcpy(&bits, at, sizeof(bits));
    address = trap_address_v4(bits);
  } else {
    std::memcpy(&address, at, sizeof(address));
  }
  return format_address(address);
}

ordered_json fields_of(std::uint32_t type, const std::uint8_t* at, std::uint32_t address_bytes) {
  auto fields = ordered_json::object();
  switch (type) {
  case TRAP_REDIRECT: {
    const auto body = body_at<trap_redirect_body>(at);
    fields["backend"] = address_text(at + sizeof(body), address_bytes);
    fields["port"] = TRAP_FROM_BE16(body.port);
    fields["lifetime_s"] = TRAP_FROM_BE16(body.lifetime_s);
    add_ticket(fields, body.ticket);
    break;
  }
  case TRAP_TICKET:
    add_ticket(fields, body_at<trap_ticket_body>(at).ticket);
    break;
  case TRAP_ANNOUNCE: {
    const auto body = body_at<trap_announce_body>(at);
    fields["client"] = address_text(at + sizeof(body), address_bytes);
    fields["scope"] = body.scope;
    fields["tag"] = body.tag;
    fields["lifetime_s"] = TRAP_FROM_BE16(body.lifetime_s);
    fields["issued_s"] = TRAP_FROM_BE32(body.issued_s);
    fields["mac"] = format_hex(body.mac, sizeof(body.mac));
    break;
  }
  case TRAP_CONSENT: {
    const auto body = body_at<trap_consent_body>(at);
    fields["value"] = format_hex(body.value, sizeof(body.value));
    break;
  }
  default: // OFFER and ACCEPT have none
    break;
  }
  return fields;
}

const char* name_of(std::uint32_t type) {
  constexpr const char* names[] = {"",       "OFFER",    "ACCEPT", "REDIRECT",
                                   "TICKET", "ANNOUNCE", "CONSENT"};
  return names[type];
}

} // namespace

std::string format_hex(const std::uint8_t* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; i++)
    text += fmt::format("{:02x}", bytes[i]);
  return text;
}

// The packet view reads headers as words: the frame has to lie as drivers lay it, 2 bytes behind a
// word (NET_IP_ALIGN), and frames in memory or from a file need not.
trap_layer view_frame(trap_packet& packet, const Frame& frame) {
  constexpr std::size_t ip_align = 2;
  std::vector<std::uint8_t> aligned(ip_align);
  aligned.insert(aligned.end(), frame.begin(), frame.end());
  packet = {};
  return trap_read_frame(&packet, aligned.data() + ip_align, aligned.data() + aligned.size());
}

std::optional<TrapMessage> read_trap_message(const Frame& frame) {
  trap_packet packet;
  if (view_frame(packet, frame) != TRAP_LAYER_TCP)
    return std::nullopt;
  trap_option_area area;
  const trap_option option =
      trap_find_option(&area, frame.data() + packet.l4_offset, frame.data() + frame.size(),
                       packet.header_bytes, packet.family);
  TrapMessage message;
  message.defect = option.defect;
  if (option.defect != TRAP_OPTIONS_SOUND)
    return message;
  if (option.type == TRAP_OPTION_NONE)
    return std::nullopt;
  message.name = name_of(option.type);
  message.experimental = option.experimental != 0;
  message.fields = fields_of(option.type, area.bytes + option.body_offset, area.address_bytes);
  return message;
}

} // namespace trap
