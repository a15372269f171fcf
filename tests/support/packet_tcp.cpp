// SPDX-License-Identifier: Apache-2.0
// The TCP segment of a described frame, with its options, TRAP's among them.
#include <stdexcept>

#include "tests/support/packet_parts.h"

namespace trap::test {
namespace {

std::uint64_t read_flags(const Description& tcp) {
  const auto found = tcp.json.find("flags");
  if (found == tcp.json.end())
    return 0x02;
  if (found->is_number())
    return *found;
  static const std::string letters = "FSRPAUEC";
  std::uint64_t flags = 0;
  for (const char letter : found->get<std::string>()) {
    const std::size_t bit = letters.find(letter);
    if (bit == std::string::npos)
      throw std::runtime_error("flags are letters of FSRPAUEC: " + found->dump());
    flags |= 1U << bit;
  }
  return flags;
}

// docs/protocol.md 3; `flags`, which is sent as 0, is part of what is passed in.
Bytes trap_option(int type, const Bytes& body, bool experimental) {
  Writer w;
  w.number(experimental ? 253 : 0x56, 1);
  w.number((experimental ? 5 : 3) + body.size(), 1);
  if (experimental)
    w.number(0x5452, 2);
  w.number(static_cast<std::uint64_t>(1 << 4 | type), 1);
  w.append(body);
  return w.out;
}

Bytes redirect_body(const Description& redirect) {
  Writer w;
  w.number(redirect.number("option_flags", 0), 1);
  w.number(redirect.number("port", 80), 2);
  w.number(redirect.number("lifetime_s", 600), 2);
  w.append(redirect.json.contains("ticket")
               ? redirect.bytes("ticket")
               : redirect.constants.bytes("$ticket.valid", redirect.family));
  w.append(wire_bytes(redirect.address("address", "backend")));
  return w.out;
}

Bytes with_flags(const Description& option, const Bytes& body) {
  Bytes whole = {static_cast<std::uint8_t>(option.number("option_flags", 0))};
  whole.insert(whole.end(), body.begin(), body.end());
  return whole;
}

// The TRAP option that `option` describes, or nothing if it describes another one.
Bytes described_trap_option(const Description& option) {
  const bool experimental = option.number("experimental", 0) != 0;
  if (option.json.contains("offer"))
    return trap_option(1, with_flags(option, {}), experimental);
  if (option.json.contains("accept"))
    return trap_option(2, with_flags(option, {}), experimental);
  if (option.json.contains("redirect"))
    return trap_option(3, redirect_body({option.json["redirect"], option.family, option.constants}),
                       experimental);
  if (option.json.contains("ticket"))
    return trap_option(4, with_flags(option, option.bytes("ticket")), experimental);
  if (option.json.contains("announce"))
    return trap_option(5, with_flags(option, option.bytes("announce")), experimental);
  if (option.json.contains("consent"))
    return trap_option(6, with_flags(option, option.bytes("consent")), experimental);
  if (option.json.contains("trap_type"))
    return trap_option(option.json["trap_type"], option.bytes("body"), experimental);
  return {};
}

Bytes described_option(const Description& option) {
  Writer w;
  if (option.json.contains("hex")) {
    w.append(option.bytes("hex"));
  } else if (option.json.contains("nop")) {
    w.out.assign(option.number("nop", 1), 1);
  } else if (option.json.contains("eol")) {
    w.out.assign(option.number("eol", 1), 0);
  } else if (option.json.contains("mss")) {
    w.number(0x0204, 2);
    w.number(option.number("mss", 0), 2);
  } else if (option.json.contains("linux")) { // what a Linux SYN carries: MSS, SACK, timestamps,
                                              // window scale: 20 bytes
    w.append(read_hex("020405b40402080a000010e10000000001030307"));
  } else {
    w.append(described_trap_option(option));
    if (w.out.empty())
      throw std::runtime_error("not an option: " + option.json.dump());
  }
  return w.out;
}

Bytes build_tcp(const Description& tcp, const Bytes& payload) {
  Bytes options =
      build_options(tcp.json.value("options", Json::array()), tcp.family, tcp.constants);
  const std::size_t padding = (4 - options.size() % 4) % 4;
  if (tcp.json.value("padding", "") == "nop-before")
    options.insert(options.begin(), padding, 1);
  else
    options.resize(options.size() + padding);
  Writer w;
  w.number(tcp.number("sport", 40000), 2);
  w.number(tcp.number("dport", 80), 2);
  w.number(tcp.number("seq", 0), 4);
  w.number(tcp.number("ack", 0), 4);
  w.number(tcp.number("data_offset", (20 + options.size()) / 4) << 4 |
               tcp.number("reserved_bits", 0),
           1);
  w.number(read_flags(tcp), 1);
  w.number(tcp.number("window", 64240), 2);
  w.number(0, 2);
  w.number(tcp.number("urgent", 0), 2);
  w.append(options);
  w.append(payload);
  return w.out;
}

Bytes build_payload(const Json& packet, const Description& ip) {
  if (!packet.contains("payload"))
    return {};
  if (packet["payload"].is_string())
    return ip.constants.bytes(packet["payload"], ip.family);
  Bytes bytes(packet["payload"].get<std::size_t>());
  for (std::size_t i = 0; i < bytes.size(); i++)
    bytes[i] = static_cast<std::uint8_t>('a' + i % 26);
  return bytes;
}

// RFC 9293 3.1, RFC 8200 8.1.
std::uint16_t l4_checksum(const Bytes& l4, const Description& ip, std::uint64_t protocol) {
  Writer w;
  w.append(wire_bytes(ip.address("src", "client")));
  w.append(wire_bytes(ip.address("dst", "public")));
  w.number(l4.size(), 4);
  w.number(protocol, 4);
  w.append(l4);
  return internet_checksum(w.out);
}

void put_checksum(Bytes& l4, std::size_t at, std::uint64_t checksum) {
  l4[at] = static_cast<std::uint8_t>(checksum >> 8);
  l4[at + 1] = static_cast<std::uint8_t>(checksum);
}

} // namespace

Bytes build_options(const Json& options, int family, const TestConstants& constants) {
  Writer w;
  for (const Json& option : options)
    w.append(described_option({option, family, constants}));
  return w.out;
}

Bytes build_l4(const Json& packet, const Description& ip) {
  Bytes payload = build_payload(packet, ip);
  if (packet.contains("tcp")) {
    const Description tcp = {packet["tcp"], ip.family, ip.constants};
    Bytes l4 = build_tcp(tcp, payload);
    put_checksum(l4, 16,
                 tcp.number("checksum", l4_checksum(l4, ip, 6)) ^ tcp.number("checksum_damage", 0));
    return l4;
  }
  if (packet.contains("udp")) {
    const Description udp = {packet["udp"], ip.family, ip.constants};
    Writer w;
    w.number(udp.number("sport", 40000), 2);
    w.number(udp.number("dport", 80), 2);
    w.number(8 + payload.size(), 2);
    w.number(0, 2);
    w.append(payload);
    put_checksum(w.out, 6, l4_checksum(w.out, ip, 17));
    return w.out;
  }
  return payload;
}

} // namespace trap::test
