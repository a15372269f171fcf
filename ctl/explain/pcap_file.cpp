// SPDX-License-Identifier: Apache-2.0
#include "ctl/explain/pcap_file.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <linux/if_ether.h>
#include <vector>

#include <fmt/core.h>

#include "ctl/explain/link_layer.h"

namespace trap::ctl {
namespace {

constexpr std::uint32_t frame_max_bytes = 65536 + 64; // the largest IP packet, and its link layer
constexpr std::uint32_t captured_max_bytes = 1 << 20; // larger than any snap length
constexpr std::uint32_t block_max_bytes = 16 << 20;
constexpr std::size_t chunk_bytes = 65536;

// Of the first four bytes, in the byte order of who wrote them.
constexpr std::uint32_t pcap_microseconds = 0xa1b2c3d4, pcap_nanoseconds = 0xa1b23c4d,
                        pcap_modified = 0xa1b2cd34; // by Kuznetsov: eight bytes more a packet
constexpr std::uint32_t pcapng_section = 0x0a0d0d0a, pcapng_order = 0x1a2b3c4d;
constexpr std::uint32_t interface_block = 1, old_packet_block = 2, simple_packet_block = 3,
                        packet_block = 6;

struct Packet {
  std::uint16_t link_type = 0;
  std::uint32_t length = 0; // on the wire
  Bytes bytes;
};

// Up to the addresses. What is no IP has none.
bool has_ip_header(const Frame& frame) {
  constexpr std::size_t tag_bytes = 4, ipv4_bytes = 20, ipv6_bytes = 40;
  std::size_t at = offsetof(ethhdr, h_proto);
  const auto is = [&](std::initializer_list<int> types) {
    return std::ranges::find(types, frame[at] << 8 | frame[at + 1]) != types.end();
  };
  while (at + 2 <= frame.size() && is({ETH_P_8021Q, ETH_P_8021AD}))
    at += tag_bytes;
  if (at + 2 > frame.size())
    return false;
  return at + 2 + (is({ETH_P_IP}) ? ipv4_bytes : is({ETH_P_IPV6}) ? ipv6_bytes : 0) <= frame.size();
}

// A frame as long as it was. Nothing if it was cut off within its headers: then it is another
// packet with other bytes behind the cut.
std::optional<Frame> filled_up(const Packet& packet) {
  auto frame = in_ethernet(packet.link_type, packet.bytes);
  const auto captured = static_cast<std::uint32_t>(packet.bytes.size());
  const std::uint32_t missing =
      std::clamp(packet.length, captured, std::max(captured, frame_max_bytes)) - captured;
  if (missing == 0)
    return frame;
  if (!has_ip_header(*frame))
    return std::nullopt;
  const Frame cut = *frame;
  frame->resize(cut.size() + missing);
  for (const std::uint8_t filler : {0xff, 0x55}) { // and 0: a data offset of 15, 5 and none
    Frame other = cut;
    other.resize(frame->size(), filler);
    if (format_packet(other) != format_packet(*frame))
      return std::nullopt;
  }
  return frame;
}

} // namespace

struct PcapFile::Capture {
  Capture(std::string from, std::FILE* opened) : path(std::move(from)), file(opened) {}
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() {
    if (file != stdin)
      std::fclose(file);
  }

  Error error(const std::string& why) const {
    return {fmt::format("capture file {}: {}", path, why), ExitCode::usage};
  }
  Error damaged(const std::string& why) const { return error("damaged: " + why); }

  Result<bool> read(Bytes& to, std::size_t bytes);
  std::uint32_t word(const Bytes& bytes, std::size_t at) const;
  std::uint16_t half(const Bytes& bytes, std::size_t at) const;

  Result<void> begin();
  Result<void> begin_section(const Bytes& head);
  Result<std::optional<Packet>> next_of_pcap();
  Result<std::optional<Packet>> next_of_pcapng();
  Result<std::optional<Bytes>> next_block(std::uint32_t& type);
  Result<std::optional<Packet>> packet_in(std::uint32_t type, const Bytes& body);
  Result<Packet> packet_at(std::size_t interface, const Bytes& body, std::size_t at,
                           std::uint32_t captured, std::uint32_t length);

  std::string path;
  std::FILE* file;
  bool is_swapped = false;
  bool is_pcapng = false;
  std::uint16_t link_type = 0;         // of pcap
  std::size_t packet_header_bytes = 0; // of pcap
  struct Interface {
    std::uint16_t link_type = 0;
    std::uint32_t snap_bytes = 0; // 0: no limit
  };
  std::vector<Interface> interfaces; // of pcapng's section
  std::uint64_t packets = 0;
  std::uint64_t cut_off = 0; // within their headers
};

// False at the end of the file, if that is before the first byte. Room is taken as bytes come: a
// length may be a lie.
Result<bool> PcapFile::Capture::read(Bytes& to, std::size_t bytes) {
  to.clear();
  while (to.size() < bytes) {
    const std::size_t had = to.size();
    to.resize(had + std::min(chunk_bytes, bytes - had));
    const std::size_t got = std::fread(to.data() + had, 1, to.size() - had, file);
    to.resize(had + got);
    if (got > 0)
      continue;
    if (std::ferror(file))
      return error(fmt::format("cannot read it: {}", error_text(errno)));
    if (to.empty())
      return false;
    return damaged(
        fmt::format("it ends in the middle of what follows packet {}: it was cut off, or "
                    "is being written",
                    packets));
  }
  return true;
}

std::uint32_t PcapFile::Capture::word(const Bytes& bytes, std::size_t at) const {
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return is_swapped ? __builtin_bswap32(value) : value;
}

std::uint16_t PcapFile::Capture::half(const Bytes& bytes, std::size_t at) const {
  std::uint16_t value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return is_swapped ? __builtin_bswap16(value) : value;
}

Result<void> PcapFile::Capture::begin() {
  Bytes magic, head;
  auto got = read(magic, sizeof(std::uint32_t));
  if (!got)
    return got.error();
  if (!*got)
    return error("cannot read it: it is empty");
  if (word(magic, 0) == pcapng_section) {
    is_pcapng = true;
    auto length = read(head, sizeof(std::uint32_t));
    if (!length)
      return length.error();
    return begin_section(head);
  }
  for (const bool swapped : {false, true}) {
    is_swapped = swapped;
    const std::uint32_t kind = word(magic, 0);
    if (kind != pcap_microseconds && kind != pcap_nanoseconds && kind != pcap_modified)
      continue;
    packet_header_bytes = kind == pcap_modified ? 24 : 16;
    constexpr std::size_t rest_bytes = 20, at_link_type = 16;
    auto rest = read(head, rest_bytes);
    if (!rest || !*rest)
      return rest ? damaged("its header is cut off") : rest.error();
    link_type = static_cast<std::uint16_t>(word(head, at_link_type)); // above: the FCS's length
    if (!in_ethernet(link_type, {}))
      return error(fmt::format("its link layer is number {}, which is not read: capture at an "
                               "interface with Ethernet, or at all (tcpdump -i any -w FILE)",
                               link_type));
    return {};
  }
  return error("cannot read it: it is neither pcap nor pcapng: unpack it if it is compressed");
}

// `head` is the block's length, in an order that only the next word tells.
Result<void> PcapFile::Capture::begin_section(const Bytes& head) {
  Bytes order, rest;
  auto got = read(order, sizeof(std::uint32_t));
  if (!got)
    return got.error();
  is_swapped = false;
  if (*got && word(order, 0) != pcapng_order)
    is_swapped = true;
  if (!*got || head.empty() || word(order, 0) != pcapng_order)
    return damaged("a section has no byte order");
  constexpr std::uint32_t least_bytes = 28, before_bytes = 12;
  const std::uint32_t length = word(head, 0);
  if (length < least_bytes || length > block_max_bytes || length % 4 != 0)
    return damaged(fmt::format("a section's header of {} bytes", length));
  interfaces.clear();
  auto whole = read(rest, length - before_bytes);
  return whole && !*whole ? damaged("a section's header is cut off")
         : whole          ? Result<void>()
                          : Result<void>(whole.error());
}

Result<std::optional<Packet>> PcapFile::Capture::next_of_pcap() {
  Bytes head;
  auto got = read(head, packet_header_bytes);
  if (!got)
    return got.error();
  if (!*got)
    return std::optional<Packet>();
  const std::uint32_t captured = word(head, 8), length = word(head, 12);
  if (captured > captured_max_bytes)
    return damaged(fmt::format("packet {} has {} bytes", packets + 1, captured));
  Packet packet = {link_type, length, {}};
  auto whole = read(packet.bytes, captured);
  if (!whole)
    return whole.error();
  if (captured > 0 && !*whole)
    return damaged(fmt::format("packet {} is cut off", packets + 1));
  return std::optional(std::move(packet));
}

// The body of the next block but a section's; empty at the end.
Result<std::optional<Bytes>> PcapFile::Capture::next_block(std::uint32_t& type) {
  for (;;) {
    Bytes head, length_bytes;
    auto got = read(head, sizeof(std::uint32_t));
    if (!got)
      return got.error();
    if (!*got)
      return std::optional<Bytes>();
    auto more = read(length_bytes, sizeof(std::uint32_t));
    if (!more || !*more)
      return more ? damaged("a block is cut off") : more.error();
    type = word(head, 0);
    if (type == pcapng_section) { // the same in either order
      if (auto begun = begin_section(length_bytes); !begun)
        return begun.error();
      continue;
    }
    constexpr std::uint32_t around_bytes = 12;
    const std::uint32_t length = word(length_bytes, 0);
    if (length < around_bytes || length > block_max_bytes || length % 4 != 0)
      return damaged(fmt::format("a block of {} bytes after packet {}", length, packets));
    Bytes body;
    auto whole = read(body, length - around_bytes + sizeof(std::uint32_t));
    if (!whole || !*whole)
      return whole ? damaged("a block is cut off") : whole.error();
    if (word(body, length - around_bytes) != length)
      return damaged(fmt::format("a block after packet {} has two lengths", packets));
    body.resize(length - around_bytes);
    return std::optional(std::move(body));
  }
}

Result<Packet> PcapFile::Capture::packet_at(std::size_t interface, const Bytes& body,
                                            std::size_t at, std::uint32_t captured,
                                            std::uint32_t length) {
  if (interface >= interfaces.size())
    return damaged(fmt::format("packet {} is of interface {}, which it does not describe",
                               packets + 1, interface));
  if (captured > body.size() - at)
    return damaged(fmt::format("packet {} has {} bytes", packets + 1, captured));
  const auto from = body.begin() + static_cast<std::ptrdiff_t>(at);
  const std::uint16_t type = interfaces[interface].link_type;
  if (!in_ethernet(type, {}))
    return error(fmt::format("packet {} is of interface {}, whose link layer is number {}, which "
                             "is not read: take its packets out (editcap, tshark -w)",
                             packets + 1, interface, type));
  return Packet{type, length, Bytes(from, from + captured)};
}

// Nothing if the block is no packet.
Result<std::optional<Packet>> PcapFile::Capture::packet_in(std::uint32_t type, const Bytes& body) {
  const auto some = [](Result<Packet> packet) -> Result<std::optional<Packet>> {
    if (!packet)
      return packet.error();
    return std::optional(std::move(*packet));
  };
  constexpr std::size_t packet_head = 20, simple_head = 4, interface_head = 8;
  const std::size_t least = type == interface_block                            ? interface_head
                            : type == simple_packet_block                      ? simple_head
                            : type == packet_block || type == old_packet_block ? packet_head
                                                                               : 0;
  if (body.size() < least)
    return damaged(fmt::format("a block after packet {} is too short", packets));
  if (type == interface_block)
    interfaces.push_back({half(body, 0), word(body, 4)});
  if (type == packet_block || type == old_packet_block)
    return some(packet_at(type == packet_block ? word(body, 0) : half(body, 0), body, packet_head,
                          word(body, 12), word(body, 16)));
  if (type == simple_packet_block) {
    const std::uint32_t length = word(body, 0);
    auto captured = static_cast<std::uint32_t>(body.size() - simple_head);
    if (!interfaces.empty() && interfaces[0].snap_bytes != 0)
      captured = std::min(captured, interfaces[0].snap_bytes);
    return some(packet_at(0, body, simple_head, std::min(captured, length), length));
  }
  return std::optional<Packet>();
}

Result<std::optional<Packet>> PcapFile::Capture::next_of_pcapng() {
  for (;;) {
    std::uint32_t type = 0;
    auto body = next_block(type);
    if (!body)
      return body.error();
    if (!*body)
      return std::optional<Packet>();
    auto packet = packet_in(type, **body);
    if (!packet || *packet)
      return packet;
  }
}

PcapFile::PcapFile(std::unique_ptr<Capture> capture) : capture_(std::move(capture)) {}
PcapFile::PcapFile(PcapFile&&) noexcept = default;
PcapFile& PcapFile::operator=(PcapFile&&) noexcept = default;
PcapFile::~PcapFile() = default;

Result<PcapFile> PcapFile::open(const std::string& path) {
  std::FILE* const opened = path == "-" ? stdin : std::fopen(path.c_str(), "rbe");
  if (!opened)
    return Error{fmt::format("capture file {}: cannot read it: {}", path, error_text(errno)),
                 ExitCode::usage};
  PcapFile file(std::make_unique<Capture>(path, opened));
  if (auto begun = file.capture_->begin(); !begun)
    return begun.error();
  return file;
}

std::uint64_t PcapFile::number() const {
  return capture_->packets;
}

Result<std::optional<Frame>> PcapFile::next() {
  for (;;) {
    auto packet = capture_->is_pcapng ? capture_->next_of_pcapng() : capture_->next_of_pcap();
    if (!packet)
      return packet.error();
    if (!*packet && capture_->cut_off > 0)
      return capture_->error(fmt::format("{} of {} packets were cut off within their headers and "
                                         "are left out: capture whole ones (tcpdump -s 0)",
                                         capture_->cut_off, capture_->packets));
    if (!*packet)
      return std::optional<Frame>();
    capture_->packets++;
    if (auto frame = filled_up(**packet))
      return frame;
    capture_->cut_off++;
  }
}

} // namespace trap::ctl
