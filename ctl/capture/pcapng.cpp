// SPDX-License-Identifier: Apache-2.0
#include "ctl/capture/pcapng.h"

#include <algorithm>
#include <array>

namespace trap::ctl {
namespace {

constexpr std::uint32_t section_block = 0x0a0d0d0a, interface_block = 1, packet_block = 6;
constexpr std::uint32_t byte_order_magic = 0x1a2b3c4d;
constexpr std::uint16_t opt_end = 0, opt_comment = 1;
constexpr std::uint16_t shb_userappl = 4;
constexpr std::uint16_t if_name = 2, if_tsresol = 9;
constexpr std::uint16_t epb_flags = 2;
constexpr std::uint32_t inbound = 1, outbound = 2;
constexpr std::uint8_t nanoseconds = 9; // 10^-9
constexpr std::size_t option_most_bytes = 0xffff;

template <class T> void put(std::string& to, T value) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
  to.append(bytes.data(), bytes.size());
}

void pad(std::string& to) {
  to.append((4 - to.size() % 4) % 4, '\0');
}

void put_option(std::string& to, std::uint16_t code, std::string value) {
  value.resize(std::min(value.size(), option_most_bytes));
  put(to, code);
  put(to, static_cast<std::uint16_t>(value.size()));
  to += value;
  pad(to);
}

std::string block(std::uint32_t type, std::string body) {
  put(body, opt_end);
  put(body, std::uint16_t{0});
  const auto bytes = static_cast<std::uint32_t>(body.size() + 3 * sizeof(std::uint32_t));
  std::string whole;
  put(whole, type);
  put(whole, bytes);
  whole += body;
  put(whole, bytes);
  return whole;
}

} // namespace

std::string pcapng_section(const std::string& application) {
  std::string body;
  put(body, byte_order_magic);
  put(body, std::uint16_t{1}); // version 1.0
  put(body, std::uint16_t{0});
  put(body, std::int64_t{-1}); // its length is not stated
  put_option(body, shb_userappl, application);
  return block(section_block, std::move(body));
}

std::string pcapng_interface(const std::string& name, LinkType link, std::uint32_t snap_bytes) {
  std::string body;
  put(body, static_cast<std::uint16_t>(link));
  put(body, std::uint16_t{0});
  put(body, snap_bytes);
  put_option(body, if_name, name);
  put_option(body, if_tsresol, std::string(1, static_cast<char>(nanoseconds)));
  return block(interface_block, std::move(body));
}

std::string pcapng_packet(const PcapngPacket& packet) {
  std::string body;
  put(body, packet.interface);
  put(body, static_cast<std::uint32_t>(packet.at_ns >> 32));
  put(body, static_cast<std::uint32_t>(packet.at_ns));
  put(body, static_cast<std::uint32_t>(packet.bytes.size()));
  put(body, std::max(packet.length, static_cast<std::uint32_t>(packet.bytes.size())));
  body.append(reinterpret_cast<const char*>(packet.bytes.data()), packet.bytes.size());
  pad(body);
  put_option(body, opt_comment, packet.comment);
  std::string direction;
  put(direction, packet.leaves ? outbound : inbound);
  put_option(body, epb_flags, std::move(direction));
  return block(packet_block, std::move(body));
}

} // namespace trap::ctl
