// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/walk/reading.h"

#include <algorithm>

namespace trap::walk {
namespace {

constexpr unsigned tcp = 6, icmp = 1, icmpv6 = 58;
constexpr unsigned hop_by_hop = 0, routing = 43, fragment = 44, authentication = 51,
                   destination_options = 60;

unsigned word16(const Bytes& bytes, std::size_t at) {
  return static_cast<unsigned>(bytes[at]) << 8 | bytes[at + 1];
}

std::uint32_t word32(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(word16(bytes, at)) << 16 | word16(bytes, at + 2);
}

Bytes part(const Bytes& bytes, std::size_t at, std::size_t count) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(at),
          bytes.begin() + static_cast<std::ptrdiff_t>(at + count)};
}

bool is_extension(unsigned protocol) {
  return protocol == hop_by_hop || protocol == routing || protocol == destination_options ||
         protocol == authentication || protocol == fragment;
}

bool is_mapped(const Bytes& address) {
  return address.size() == 16 &&
         std::all_of(address.begin(), address.begin() + 10, [](auto b) { return b == 0; }) &&
         address[10] == 0xff && address[11] == 0xff;
}

// Where the network header is and what it is; type 0: there is none.
struct Link {
  unsigned type = 0;
  std::size_t l3 = 0;
  bool has_more_tags = false;
};

Link read_link(const Bytes& frame) {
  constexpr std::size_t ethernet_bytes = 14;
  const auto is_tag = [](unsigned type) { return type == 0x8100 || type == 0x88a8; };
  if (frame.size() < ethernet_bytes)
    return {};
  Link link = {.type = word16(frame, 12), .l3 = ethernet_bytes};
  for (int tags = 0; tags < 2 && is_tag(link.type); tags++) {
    if (frame.size() < link.l3 + 4)
      return {};
    link.type = word16(frame, link.l3 + 2);
    link.l3 += 4;
  }
  link.has_more_tags = is_tag(link.type);
  return link;
}

// The body lengths of docs/protocol.md 3, without flags and type byte; -1: no such type.
int body_bytes(int type, int family) {
  const int address = family == 4 ? 4 : 16;
  switch (type) {
  case 1: // OFFER
  case 2: // ACCEPT
    return 1;
  case 3: // REDIRECT
    return 17 + address;
  case 4: // TICKET
    return 13;
  case 5: // ANNOUNCE
    return 17 + address;
  case 6: // CONSENT
    return 5;
  default:
    return -1;
  }
}

Options read_options(Bytes area, int family) {
  Options options;
  options.area = std::move(area);
  const Bytes& bytes = options.area;
  int ours = 0;
  for (std::size_t at = 0; at < bytes.size() && bytes[at] != 0;) {
    if (bytes[at] == 1) {
      at++;
      continue;
    }
    if (at + 1 >= bytes.size() || bytes[at + 1] < 2 || at + bytes[at + 1] > bytes.size()) {
      options.malformed = true;
      break;
    }
    const std::size_t length = bytes[at + 1];
    const bool experimental =
        bytes[at] == 253 && length >= 4 && bytes[at + 2] == 0x54 && bytes[at + 3] == 0x52;
    if (bytes[at] == 0x56 || experimental) {
      const std::size_t header = experimental ? 5 : 3;
      ours++;
      if (length < header || bytes[at + header - 1] >> 4 != 1 ||
          body_bytes(bytes[at + header - 1] & 15, family) != static_cast<int>(length - header)) {
        options.malformed = true;
      } else {
        options.type = bytes[at + header - 1] & 15;
        options.body = part(bytes, at + header, length - header);
        options.experimental = experimental;
      }
    }
    at += length;
  }
  options.duplicate = ours > 1;
  return options;
}

void defect(Reading& reading, const char* name) {
  reading.layer = Layer::defective;
  reading.defects.insert(name);
}

// Of a segment, or of one that a message quotes. False if the frame ends before them.
template <typename Ends> bool read_ports(Ends& ends, const Bytes& frame, std::size_t l4) {
  if (frame.size() < l4 + 4)
    return false;
  ends.source.port = word16(frame, l4);
  ends.destination.port = word16(frame, l4 + 2);
  return true;
}

void read_tcp(Reading& reading, const Bytes& frame, std::size_t l4) {
  const std::size_t left = reading.ip_end - l4; // checked by the callers
  reading.l4 = l4;
  reading.has_ports = read_ports(reading, frame, l4);
  if (frame.size() < l4 + 20 || left < 20)
    return defect(reading, "drop-truncated");
  reading.seq = word32(frame, l4 + 4);
  reading.ack = word32(frame, l4 + 8);
  reading.flags = frame[l4 + 13];
  reading.header_bytes = static_cast<std::size_t>(frame[l4 + 12] >> 4) * 4;
  if (reading.header_bytes < 20 || reading.header_bytes > left)
    return defect(reading, "drop-bad-data-offset");
  if (frame.size() < l4 + reading.header_bytes)
    return defect(reading, "drop-truncated");
  if (reading.layer != Layer::defective)
    reading.layer = Layer::tcp;
  reading.options = read_options(part(frame, l4 + 20, reading.header_bytes - 20), reading.family);
}

void read_ipv4(Reading& reading, const Bytes& frame) {
  const std::size_t l3 = reading.l3;
  if (frame.size() < l3 + 20 || frame[l3 + 9] != tcp)
    return;
  reading.family = 4;
  reading.source.address = part(frame, l3 + 12, 4);
  reading.destination.address = part(frame, l3 + 16, 4);
  const std::size_t header = static_cast<std::size_t>(frame[l3] & 15) * 4;
  const std::size_t total = word16(frame, l3 + 2);
  if (frame[l3] >> 4 != 4 || header < 20 || total < header)
    return defect(reading, "drop-bad-ip-header");
  reading.ip_end = l3 + total;
  const unsigned place = word16(frame, l3 + 6);
  if ((place & 0x3fff) != 0) {
    if ((place & 0x1fff) == 0)
      reading.has_ports = read_ports(reading, frame, l3 + header);
    return defect(reading, "drop-fragment");
  }
  read_tcp(reading, frame, l3 + header);
}

void read_fragment(Reading& reading, const Bytes& frame, std::size_t at) {
  if (frame[at] != tcp && !is_extension(frame[at])) {
    reading.layer = Layer::other;
    reading.defects.clear();
    return;
  }
  if (frame[at] == tcp && (word16(frame, at + 2) & 0xfff8) == 0)
    reading.has_ports = read_ports(reading, frame, at + 8);
  defect(reading, "drop-fragment");
}

void not_tcp(Reading& reading) {
  reading.layer = Layer::other;
  reading.defects.clear();
}

void read_behind_ipv6(Reading& reading, const Bytes& frame, unsigned next) {
  const std::size_t behind_ip = reading.l3 + 40;
  std::size_t at = behind_ip;
  for (int headers = 0; headers < 4 && next != tcp; headers++) {
    if (!is_extension(next))
      return not_tcp(reading);
    if (frame.size() < at + 8)
      return defect(reading, "drop-truncated");
    if (next == fragment)
      return read_fragment(reading, frame, at);
    const std::size_t words = frame[at + 1];
    const std::size_t bytes = next == authentication ? (words + 2) * 4 : (words + 1) * 8;
    next = frame[at];
    at += bytes;
  }
  if (next != tcp)
    return is_extension(next) ? defect(reading, "drop-extension-headers") : not_tcp(reading);
  if (reading.ip_end < at)
    return defect(reading, "drop-bad-ip-header");
  read_tcp(reading, frame, at);
}

void read_ipv6(Reading& reading, const Bytes& frame) {
  const std::size_t l3 = reading.l3;
  if (frame.size() < l3 + 40)
    return;
  const unsigned next = frame[l3 + 6];
  if (next != tcp && !is_extension(next))
    return;
  reading.family = 6;
  reading.source.address = part(frame, l3 + 8, 16);
  reading.destination.address = part(frame, l3 + 24, 16);
  if (frame[l3] >> 4 != 6) {
    reading.is_perhaps_other = next != tcp;
    return defect(reading, "drop-bad-ip-header");
  }
  reading.ip_end = l3 + 40 + word16(frame, l3 + 4);
  if (is_mapped(reading.source.address) || is_mapped(reading.destination.address))
    defect(reading, "drop-mapped-address");
  read_behind_ipv6(reading, frame, next);
}

// From an IPv6 header to the header of a protocol behind at most four others; 0: it is not there,
// or in an earlier fragment.
std::size_t find_behind(const Bytes& frame, std::size_t l3, unsigned wanted) {
  unsigned next = frame[l3 + 6];
  std::size_t at = l3 + 40;
  for (int headers = 0; headers < 4 && next != wanted; headers++) {
    if (!is_extension(next) || frame.size() < at + 8)
      return 0;
    if (next == fragment && (word16(frame, at + 2) & 0xfff8) != 0)
      return 0;
    const std::size_t words = frame[at + 1];
    const std::size_t bytes = next == fragment         ? 8
                              : next == authentication ? (words + 2) * 4
                                                       : (words + 1) * 8;
    next = frame[at];
    at += bytes;
  }
  return next == wanted ? at : 0;
}

Message message_of(int family, unsigned type) {
  if (family == 4)
    return type == 3 || type == 11 || type == 12 ? Message::error : Message::query;
  if (type < 128)
    return Message::error;
  return (type >= 130 && type <= 137) || type == 143 ? Message::neighbour : Message::query;
}

void read_quoted_ipv4(Icmp& message, const Bytes& frame, std::size_t l3) {
  if (frame.size() < l3 + 20 || frame[l3 + 9] != tcp)
    return;
  if (frame[l3] >> 4 != 4 || (frame[l3] & 15) < 5 || (word16(frame, l3 + 6) & 0x1fff) != 0)
    return; // no header of a first fragment
  message.source.address = part(frame, l3 + 12, 4);
  message.destination.address = part(frame, l3 + 16, 4);
  message.quotes_tcp =
      read_ports(message, frame, l3 + static_cast<std::size_t>(frame[l3] & 15) * 4);
}

void read_quoted_ipv6(Icmp& message, const Bytes& frame, std::size_t l3) {
  if (frame.size() < l3 + 40)
    return;
  message.source.address = part(frame, l3 + 8, 16);
  message.destination.address = part(frame, l3 + 24, 16);
  if (is_mapped(message.source.address) || is_mapped(message.destination.address)) {
    message.is_mapped = true;
    return;
  }
  if (const std::size_t l4 = find_behind(frame, l3, tcp); l4 != 0 && frame[l3] >> 4 == 6)
    message.quotes_tcp = read_ports(message, frame, l4);
}

Icmp read_icmpv4(const Bytes& frame, std::size_t l3) {
  Icmp message;
  if (frame.size() < l3 + 20 || frame[l3 + 9] != icmp || (word16(frame, l3 + 6) & 0x1fff) != 0)
    return message;
  if (frame[l3] >> 4 != 4 || (frame[l3] & 15) < 5)
    return message;
  message.is_cut = (word16(frame, l3 + 6) & 0x2000) != 0;
  const std::size_t at = l3 + static_cast<std::size_t>(frame[l3] & 15) * 4;
  if (frame.size() < at + 8)
    return message;
  message.message = message_of(4, frame[at]);
  if (message.message == Message::error)
    read_quoted_ipv4(message, frame, at + 8);
  return message;
}

Icmp read_icmpv6(const Bytes& frame, std::size_t l3) {
  Icmp message;
  if (frame.size() < l3 + 40 || frame[l3] >> 4 != 6)
    return message;
  const std::size_t at = find_behind(frame, l3, icmpv6);
  if (at == 0)
    return message;
  const std::size_t header = find_behind(frame, l3, fragment);
  message.is_cut = header != 0 && header < at && (frame[header + 3] & 1) != 0;
  if (frame.size() < at + 8)
    return message;
  message.message = message_of(6, frame[at]);
  if (message.message == Message::error)
    read_quoted_ipv6(message, frame, at + 8);
  message.is_mapped = message.is_mapped || is_mapped(part(frame, l3 + 8, 16)) ||
                      is_mapped(part(frame, l3 + 24, 16));
  return message;
}

} // namespace

Reading read_frame(const Bytes& frame) {
  Reading reading;
  const Link link = read_link(frame);
  reading.l3 = link.l3;
  if (link.has_more_tags)
    defect(reading, "drop-vlan-tags");
  else if (link.type == 0x0800)
    read_ipv4(reading, frame);
  else if (link.type == 0x86dd)
    read_ipv6(reading, frame);
  return reading;
}

Icmp read_icmp(const Bytes& frame) {
  const Link link = read_link(frame);
  if (link.has_more_tags)
    return {};
  return link.type == 0x0800   ? read_icmpv4(frame, link.l3)
         : link.type == 0x86dd ? read_icmpv6(frame, link.l3)
                               : Icmp();
}

} // namespace trap::walk
