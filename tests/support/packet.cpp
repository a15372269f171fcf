// SPDX-License-Identifier: Apache-2.0
// Ethernet, VLAN, IPv4 and IPv6 of a described frame; what is above is in packet_tcp.cpp.
#include "tests/support/packet.h"

#include <algorithm>
#include <stdexcept>

#include "tests/support/packet_parts.h"

namespace trap::test {

void Writer::number(std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--)
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint16_t internet_checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i++)
    sum += i % 2 == 0 ? static_cast<std::uint32_t>(bytes[i]) << 8 : bytes[i];
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint64_t Description::number(const char* key, std::uint64_t otherwise) const {
  const auto found = json.find(key);
  return found == json.end() ? otherwise : constants.number(*found, family);
}

Bytes Description::bytes(const char* key) const {
  const auto found = json.find(key);
  return found == json.end() ? Bytes() : constants.bytes(*found, family);
}

Address Description::address(const char* key, const char* otherwise) const {
  return constants.address(json.value(key, std::string(otherwise)), family);
}

namespace {

Bytes read_mac(const std::string& text) {
  std::string digits = text;
  std::erase(digits, ':');
  return read_hex(digits);
}

void write_ethernet(Writer& frame, const Json& description, int family) {
  static const std::string near = "02:00:00:00:00:01";
  static const std::string far = "00:00:00:00:00:00"; // of loopback, by which test runs arrive
  const Json eth = description.value("eth", Json::object());
  const bool back = eth.is_string() && eth.get<std::string>() == "back";
  const Json fields = eth.is_object() ? eth : Json::object();
  if (eth.is_string() && eth.get<std::string>() == "none")
    return;
  frame.append(read_mac(fields.value("dst", back ? near : far)));
  frame.append(read_mac(fields.value("src", back ? far : near)));
  const std::uint64_t tags = description.value("vlan", 0U);
  for (std::uint64_t i = 0; i < tags; i++) {
    frame.number(tags > 1 && i == 0 ? 0x88a8 : 0x8100, 2);
    frame.number(100 + i, 2);
  }
  frame.number(fields.value("type", family == 4 ? 0x0800 : 0x86dd), 2);
}

Bytes ipv4_header(const Description& ip, std::size_t payload_bytes) {
  const Bytes options = ip.bytes("options");
  if (options.size() % 4 != 0 || options.size() > 40)
    throw std::runtime_error("IPv4 options are whole words, 40 bytes at most");
  const std::size_t header_bytes = 20 + options.size();
  Writer w;
  w.number(ip.number("version", 4) << 4 | ip.number("ihl", header_bytes / 4), 1);
  w.number(ip.number("tos", 0), 1);
  w.number(ip.number("total_length", header_bytes + payload_bytes), 2);
  w.number(ip.number("id", 0), 2);
  w.number(ip.number("df", 1) << 14 | ip.number("more_fragments", 0) << 13 |
               ip.number("fragment_offset", 0) / 8,
           2);
  w.number(ip.number("hops", 64), 1);
  w.number(ip.number("protocol", 6), 1);
  w.number(0, 2);
  w.append(wire_bytes(ip.address("src", "client")));
  w.append(wire_bytes(ip.address("dst", "public")));
  w.append(options);
  const std::uint64_t checksum =
      ip.number("checksum", internet_checksum(w.out)) ^ ip.number("checksum_damage", 0);
  w.out[10] = static_cast<std::uint8_t>(checksum >> 8);
  w.out[11] = static_cast<std::uint8_t>(checksum);
  return w.out;
}

// Extension headers as a list of {"type": 0, "length": 8}; type 44 is a fragment, 51 counts its
// length in 4-byte units.
Bytes extension_headers(const Description& ip, std::uint64_t last) {
  const Json list = ip.json.value("extensions", Json::array());
  Writer w;
  for (std::size_t i = 0; i < list.size(); i++) {
    const Description header = {list[i], ip.family, ip.constants};
    const std::uint64_t type = header.number("type", 0);
    const std::uint64_t length = header.number("length", type == 51 ? 16 : 8);
    const std::size_t start = w.out.size();
    w.number(i + 1 < list.size()
                 ? Description{list[i + 1], ip.family, ip.constants}.number("type", 0)
                 : last,
             1);
    if (type == 44) {
      w.number(0, 1);
      w.number(header.number("offset", 0) | header.number("more", 0), 2);
      w.number(0x12345678, 4);
      continue;
    }
    w.number(header.number("length_field", type == 51 ? length / 4 - 2 : length / 8 - 1), 1);
    if (type != 51) {
      w.number(1, 1); // PadN over the rest
      w.number(length - 4, 1);
    }
    w.out.resize(start + length);
  }
  return w.out;
}

Bytes ipv6_header(const Description& ip, std::size_t payload_bytes) {
  const std::uint64_t protocol = ip.number("protocol", 6);
  const Bytes extensions = extension_headers(ip, protocol);
  const std::uint64_t first =
      extensions.empty()
          ? protocol
          : Description{ip.json["extensions"][0], ip.family, ip.constants}.number("type", 0);
  Writer w;
  w.number(ip.number("version", 6) << 28 | ip.number("tos", 0) << 20 | ip.number("flow_label", 0),
           4);
  w.number(ip.number("payload_length", extensions.size() + payload_bytes), 2);
  w.number(first, 1);
  w.number(ip.number("hops", 64), 1);
  w.append(wire_bytes(ip.address("src", "client")));
  w.append(wire_bytes(ip.address("dst", "public")));
  w.append(extensions);
  return w.out;
}

// "l3+6", "l4+13", "options+2" or a number from the start of the frame.
std::size_t position(const Json& at, std::size_t l3, std::size_t l4) {
  if (at.is_number())
    return at;
  const std::string text = at;
  const std::size_t plus = text.find('+');
  const std::string base = text.substr(0, plus);
  const std::size_t offset = plus == std::string::npos ? 0 : std::stoul(text.substr(plus + 1));
  if (base == "l3")
    return l3 + offset;
  if (base == "l4")
    return l4 + offset;
  if (base == "options")
    return l4 + 20 + offset;
  throw std::runtime_error("no such place in a packet: " + text);
}

void damage(Bytes& frame, const Json& description, std::size_t l3, std::size_t l4) {
  for (const Json& patch : description.value("patch", Json::array())) {
    const std::size_t at = position(patch.at("at"), l3, l4);
    const Bytes bytes = read_hex(patch.value("hex", ""));
    if (at + std::max<std::size_t>(bytes.size(), 1) > frame.size())
      throw std::runtime_error("patch beyond the packet: " + patch.dump());
    std::ranges::copy(bytes, frame.begin() + static_cast<std::ptrdiff_t>(at));
    frame[at] = static_cast<std::uint8_t>(frame[at] ^ patch.value("xor", 0));
    if (patch.contains("flip_bit")) {
      const std::size_t bit = patch["flip_bit"];
      frame.at(at + bit / 8) = static_cast<std::uint8_t>(frame.at(at + bit / 8) ^ 1U << bit % 8);
    }
  }
}

} // namespace

Bytes build_packet(const Json& description, int family, const TestConstants& constants) {
  if (description.contains("hex"))
    return constants.bytes(description["hex"], family);
  static const Json nothing = Json::object();
  const Json& ip_json = description.contains("ip") ? description["ip"] : nothing;
  const Description ip = {ip_json, family, constants};
  const Bytes l4 = build_l4(description, ip);

  Writer frame;
  write_ethernet(frame, description, family);
  const std::size_t l3_at = frame.out.size();
  frame.append(family == 4 ? ipv4_header(ip, l4.size()) : ipv6_header(ip, l4.size()));
  const std::size_t l4_at = frame.out.size();
  frame.append(l4);
  damage(frame.out, description, l3_at, l4_at);
  if (description.contains("pad_to"))
    frame.out.resize(std::max<std::size_t>(frame.out.size(), description["pad_to"]));
  if (description.contains("truncate"))
    frame.out.resize(std::min<std::size_t>(frame.out.size(), description["truncate"]));
  return frame.out;
}

std::string difference(const Bytes& expected, const Bytes& got) {
  if (expected == got)
    return "";
  const auto [e, g] = std::ranges::mismatch(expected, got);
  return "differ at byte " + std::to_string(e - expected.begin()) + "\n expected (" +
         std::to_string(expected.size()) + ") " + to_hex(expected) + "\n got      (" +
         std::to_string(got.size()) + ") " + to_hex(got);
}

} // namespace trap::test
