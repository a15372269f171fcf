// SPDX-License-Identifier: Apache-2.0
// From the draft of a packet to its frame.
#include <cstring>

#include <fmt/core.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include "runtime/packet/packet_draft.h"

namespace trap {
namespace {

constexpr std::uint8_t kHops = 64;
constexpr std::uint8_t kFragmentExtension = 44;

struct Writer {
  Frame out;

  void number(std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--)
      out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  void append(const std::uint8_t* bytes, std::size_t count) {
    out.insert(out.end(), bytes, bytes + count);
  }
  void address(const trap_address& address, trap_family family) {
    if (family == TRAP_IPV4)
      append(address.bytes + 12, 4);
    else
      append(address.bytes, 16);
  }
  void set16(std::size_t at, std::uint16_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
  }
};

// RFC 1071, as the value of a checksum field.
std::uint16_t checksum(const Frame& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i++)
    sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Frame options_of(const PacketDraft& draft) {
  Writer options;
  for (const DraftOption& option : draft.options) {
    std::uint8_t header[TRAP_HEADER_BYTES_EXPERIMENTAL];
    if (option.type != TRAP_OPTION_NONE)
      options.append(header,
                     trap_put_header(header, option.type, static_cast<__u32>(option.bytes.size()),
                                     draft.experimental));
    options.append(option.bytes.data(), option.bytes.size());
  }
  options.out.resize((options.out.size() + 3) / 4 * 4);
  return options.out;
}

Frame segment_of(const PacketDraft& draft, const Frame& options) {
  Writer segment;
  segment.number(draft.source.port, 2);
  segment.number(draft.destination.port, 2);
  if (draft.is_udp) {
    segment.number(8 + draft.payload_bytes, 2);
    segment.number(0, 2);
  } else {
    segment.number(draft.seq, 4);
    segment.number(draft.ack, 4);
    segment.number((TRAP_TCP_HEADER_BYTES + options.size()) / 4 << 4, 1);
    segment.number(draft.flags, 1);
    segment.number(draft.window, 2);
    segment.number(0, 4); // checksum, urgent pointer
    segment.append(options.data(), options.size());
  }
  segment.out.resize(segment.out.size() + draft.payload_bytes);
  Writer summed; // with the pseudo-header
  summed.address(draft.source.address, draft.family);
  summed.address(draft.destination.address, draft.family);
  summed.number(draft.is_udp ? IPPROTO_UDP : IPPROTO_TCP, 4);
  summed.number(segment.out.size(), 4);
  summed.append(segment.out.data(), segment.out.size());
  const std::uint16_t sum = checksum(summed.out);
  segment.set16(draft.is_udp ? 6 : 16, draft.bad_checksum && draft.family == TRAP_IPV6
                                           ? static_cast<std::uint16_t>(~sum)
                                           : sum);
  return segment.out;
}

void put_ipv4(Writer& frame, const PacketDraft& draft, const Frame& segment) {
  Writer header;
  header.number(0x4500, 2);
  header.number(20 + segment.size(), 2);
  header.number(draft.fragment ? 0x2000 : 0x4000,
                4); // identification 0; more fragments, or do not fragment
  header.number(kHops, 1);
  header.number(draft.is_udp ? IPPROTO_UDP : IPPROTO_TCP, 1);
  header.number(0, 2);
  header.address(draft.source.address, TRAP_IPV4);
  header.address(draft.destination.address, TRAP_IPV4);
  const std::uint16_t sum = checksum(header.out);
  header.set16(10, draft.bad_checksum ? static_cast<std::uint16_t>(~sum) : sum);
  frame.append(header.out.data(), header.out.size());
}

void put_ipv6(Writer& frame, const PacketDraft& draft, const Frame& segment) {
  const std::uint8_t protocol = draft.is_udp ? IPPROTO_UDP : IPPROTO_TCP;
  frame.number(0x60000000, 4);
  frame.number(segment.size() + (draft.fragment ? 8 : 0), 2);
  frame.number(draft.fragment ? kFragmentExtension : protocol, 1);
  frame.number(kHops, 1);
  frame.address(draft.source.address, TRAP_IPV6);
  frame.address(draft.destination.address, TRAP_IPV6);
  if (draft.fragment)
    frame.number(static_cast<std::uint64_t>(protocol) << 56 | 1ULL << 32,
                 8); // offset 0, more fragments
}

} // namespace

Result<Frame> make_frame(const PacketDraft& draft) {
  const Frame options = options_of(draft);
  if (options.size() > TRAP_TCP_OPTIONS_MAX)
    return Error{fmt::format("packet: its TCP options are {} bytes, and a header has room for {}",
                             options.size(), TRAP_TCP_OPTIONS_MAX),
                 ExitCode::usage};
  const Frame segment = segment_of(draft, options);
  Writer frame;
  frame.number(0x020000000002, 6); // locally administered
  frame.number(0x020000000001, 6);
  for (std::size_t i = 0; i < draft.vlans.size(); i++) {
    frame.number(i + 1 < draft.vlans.size() ? ETH_P_8021AD : ETH_P_8021Q, 2);
    frame.number(draft.vlans[i], 2);
  }
  frame.number(draft.family == TRAP_IPV4 ? ETH_P_IP : ETH_P_IPV6, 2);
  if (draft.family == TRAP_IPV4)
    put_ipv4(frame, draft, segment);
  else
    put_ipv6(frame, draft, segment);
  frame.append(segment.data(), segment.size());
  return frame.out;
}

} // namespace trap
