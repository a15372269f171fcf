// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/odd_frame.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/ethernet.h>
#include <netinet/in.h>

#include "runtime/packet/tcp_options.h"

namespace trap::lab {
namespace {

constexpr std::chrono::milliseconds listening_time{150};
constexpr std::uint32_t usual_seq = 7'000'000;
constexpr std::size_t stamp_at = 8; // behind MSS, SACK permitted, and what begins timestamps
constexpr MacAddress broadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                     group = {0x01, 0x00, 0x5e, 0x00, 0x00, 0x07},
                     other_host = {0x02, 0, 0, 0, 9, 0x77};

trap_address parsed(std::string_view text) {
  return *parse_address(std::string{text});
}

// Of an IPv4 header whose bytes were changed.
void renew_ipv4_header(Bytes& frame) {
  const auto header = std::span{frame}.subspan(ETH_HLEN);
  const std::size_t bytes = std::min<std::size_t>((header[0] & 15) * 4U, header.size());
  header[10] = header[11] = 0;
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at + 1 < bytes; at += 2)
    sum += static_cast<std::uint32_t>(header[at] << 8 | header[at + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  header[10] = static_cast<std::uint8_t>(sum >> 8);
  header[11] = static_cast<std::uint8_t>(sum);
}

class Collection {
public:
  using Describe = std::function<void(Ethernet&, Segment&)>;

  void described(std::string name, const Describe& describe, OddFate fate = OddFate::equal,
                 std::vector<std::string_view> differs = {}) {
    frames.push_back({.name = std::move(name),
                      .describe = describe,
                      .fate = fate,
                      .differs = std::move(differs)});
  }
  void altered(std::string name, const std::function<void(Bytes&)>& alter,
               OddFate fate = OddFate::equal) {
    frames.push_back({.name = std::move(name), .alter = alter, .fate = fate});
  }
  void in_ip(std::string name, const std::function<void(IpFields&)>& describe,
             OddFate fate = OddFate::equal, std::vector<std::string_view> differs = {}) {
    described(
        std::move(name), [describe](Ethernet&, Segment& segment) { describe(segment.ip); }, fate,
        std::move(differs));
  }
  void in_tcp(std::string name, const std::function<void(Segment&)>& describe,
              OddFate fate = OddFate::equal, std::vector<std::string_view> differs = {}) {
    described(
        std::move(name), [describe](Ethernet&, Segment& segment) { describe(segment); }, fate,
        std::move(differs));
  }
  void from(std::string_view address, OddFate fate = OddFate::equal) {
    in_tcp(
        fmt::format("from {}", address),
        [source = parsed(address)](Segment& segment) { segment.from.address = source; }, fate);
  }

  std::vector<OddFrame> frames;
};

void add_ethernet(Collection& odd) {
  odd.described("a usual SYN", [](Ethernet&, Segment&) {});
  for (const std::size_t bytes : {1, 20, 700})
    odd.altered(fmt::format("{} bytes of padding", bytes),
                [bytes](Bytes& frame) { frame.insert(frame.end(), bytes, std::uint8_t{0xa5}); });
  odd.altered("shorter than its packet", [](Bytes& frame) { frame.resize(frame.size() - 4); });
  odd.altered("without a TCP header", [](Bytes& frame) { frame.resize(ETH_HLEN + 20); });
  for (const auto& [name, mac] : {std::pair{"broadcast", broadcast}, std::pair{"a group", group},
                                  std::pair{"another host", other_host}})
    odd.described(fmt::format("to {}'s Ethernet address", name),
                  [to = mac](Ethernet& ethernet, Segment&) { ethernet.destination = to; });
  odd.altered("in 802.3 with SNAP", [](Bytes& frame) {
    const auto length = frame.size() - ETH_HLEN + 8;
    const std::uint8_t header[] = {static_cast<std::uint8_t>(length >> 8),
                                   static_cast<std::uint8_t>(length),
                                   0xaa,
                                   0xaa,
                                   3,
                                   0,
                                   0,
                                   0};
    frame.insert(frame.begin() + 2 * ETH_ALEN, std::begin(header), std::end(header));
  });
  odd.altered("with the EtherType of the other family", [](Bytes& frame) {
    const bool is_v4 = frame[12] == 8 && frame[13] == 0;
    frame[12] = is_v4 ? 0x86 : 0x08;
    frame[13] = is_v4 ? 0xdd : 0x00;
  });
  odd.altered("with no EtherType of IP", [](Bytes& frame) { frame[12] = 0x88, frame[13] = 0xb5; });
}

void add_tags(Collection& odd) {
  const auto tagged = [&](std::string name, std::vector<VlanTag> tags, OddFate fate,
                          std::vector<std::string_view> differs = {}) {
    odd.described(
        std::move(name), [tags](Ethernet& ethernet, Segment&) { ethernet.tags = tags; }, fate,
        std::move(differs));
  };
  tagged("with a tag of priority alone", {{ETHERTYPE_VLAN, 0}}, OddFate::equal, {"VLAN tag"});
  tagged("with a tag of priority 5 alone", {{ETHERTYPE_VLAN, 5 << 13}}, OddFate::equal,
         {"VLAN tag", "priority"});
  tagged("with the tag of a VLAN that the host has not", {{ETHERTYPE_VLAN, 9}}, OddFate::answered);
  tagged("with an 802.1ad tag that the host has not", {{ETH_P_8021AD, 9}}, OddFate::answered);
  tagged("with three tags", {{ETH_P_8021AD, 9}, {ETHERTYPE_VLAN, 9}, {ETHERTYPE_VLAN, 8}},
         OddFate::equal);
  odd.frames.back().fate_at_tc = OddFate::answered;
}

void add_ipv4_headers(Collection& odd) {
  const auto byte = [&](std::string name, std::size_t at, std::uint8_t value) {
    odd.altered(std::move(name), [at, value](Bytes& frame) {
      frame[ETH_HLEN + at] = value;
      renew_ipv4_header(frame);
    });
  };
  byte("version 5", 0, 0x55);
  byte("a header of 16 bytes", 0, 0x44);
  byte("a header of 60 bytes that is not there", 0, 0x4f);
  byte("a total length of 19", 3, 19);
  byte("a total length of 39", 3, 39);
  byte("a total length beyond the frame", 2, 1);
  byte("TTL 0", 8, 0);
  byte("protocol 255", 9, 255);
  odd.in_ip("a wrong header checksum", [](IpFields& ip) { ip.checksum_damage = 0x0100; });
  odd.in_ip("an identification", [](IpFields& ip) { ip.identification = 4242; });
  odd.in_ip("fragmentation allowed", [](IpFields& ip) { ip.fragment = 0; });
  odd.in_ip("the reserved flag", [](IpFields& ip) { ip.fragment = 0x8000; });
  odd.in_ip("the first fragment", [](IpFields& ip) { ip.fragment = ipv4_more_fragments; });
  odd.in_ip("a later fragment", [](IpFields& ip) { ip.fragment = 3; });
  const auto options = [&](std::string_view name, const Bytes& bytes, OddFate fate,
                           std::vector<std::string_view> differs = {}) {
    odd.in_ip(
        fmt::format("options: {}", name), [bytes](IpFields& ip) { ip.options = bytes; }, fate,
        std::move(differs));
  };
  options("NOPs", {1, 1, 1, 1}, OddFate::equal);
  options("end of options", {0, 0, 0, 0}, OddFate::equal);
  options("router alert", {148, 4, 0, 0}, OddFate::equal);
  options("record route", {7, 7, 4, 0, 0, 0, 0, 0}, OddFate::equal, {"bytes of the IP header"});
  options("timestamps", {68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}, OddFate::equal,
          {"bytes of the IP header"});
  options("a loose source route", {131, 7, 4, 203, 0, 113, 1, 0}, OddFate::answered);
  options("a strict source route", {137, 7, 4, 203, 0, 113, 1, 0}, OddFate::answered);
  options("one that is longer than they are", {7, 39, 4, 0}, OddFate::answered);
  options("one of length 0", {7, 0, 4, 0}, OddFate::answered);
  options("one that nobody knows", {30, 4, 0, 0}, OddFate::equal);
}

void add_ipv4_addresses(Collection& odd) {
  for (const std::string_view source :
       {"0.0.0.0", "127.0.0.1", "224.0.0.7", "239.1.2.3", "255.255.255.255"})
    odd.from(source);
  odd.from("0.1.2.3", OddFate::unanswered);
  odd.from("240.1.2.3", OddFate::unanswered);
  odd.from("169.254.7.7");
  odd.from("10.0.0.7");
  odd.from(addresses_of("trap").ipv4, OddFate::answered);
  odd.from(inner_ipv4, OddFate::answered);
  odd.in_tcp( // the stack's answer is a broadcast
      "from 203.0.113.255",
      [](Segment& segment) { segment.from.address = parsed("203.0.113.255"); }, OddFate::equal,
      {"to"});
  for (const std::string_view to : {"203.0.113.255", "255.255.255.255", "224.0.0.1"})
    odd.in_tcp(fmt::format("to {}", to),
               [address = parsed(to)](Segment& segment) { segment.to.address = address; });
}

void add_ipv6_headers(Collection& odd) {
  odd.altered("version 5", [](Bytes& frame) { frame[ETH_HLEN] = 0x50; });
  odd.altered("a payload length of 0", [](Bytes& frame) { frame[18] = frame[19] = 0; });
  odd.altered("a payload length of 19", [](Bytes& frame) { frame[18] = 0, frame[19] = 19; });
  odd.altered("a payload length beyond the frame", [](Bytes& frame) { frame[18] = 1; });
  odd.altered("a flow label", [](Bytes& frame) { frame[16] = 0x12, frame[17] = 0x34; });
  odd.altered("hop limit 0", [](Bytes& frame) { frame[21] = 0; });
  odd.altered("no next header", [](Bytes& frame) { frame[20] = 59; });
  const auto extended = [&](std::string_view name, const std::vector<ExtensionHeader>& headers,
                            OddFate fate = OddFate::equal) {
    odd.in_ip(
        fmt::format("extension headers: {}", name),
        [headers](IpFields& ip) { ip.extensions = headers; }, fate);
  };
  const Bytes padding = {0, 0, 1, 4, 0, 0, 0, 0};
  const auto option = [](std::uint8_t kind) -> Bytes { return {0, 0, kind, 4, 0, 0, 0, 0}; };
  extended("hop by hop", {{IPPROTO_HOPOPTS, padding}});
  extended("destination options", {{IPPROTO_DSTOPTS, padding}});
  extended("destination options twice", {{IPPROTO_DSTOPTS, padding}, {IPPROTO_DSTOPTS, padding}});
  extended("both", {{IPPROTO_HOPOPTS, padding}, {IPPROTO_DSTOPTS, padding}});
  extended("hop by hop behind destination options",
           {{IPPROTO_DSTOPTS, padding}, {IPPROTO_HOPOPTS, padding}}, OddFate::answered);
  extended("an option to skip", {{IPPROTO_DSTOPTS, option(0x1e)}});
  extended("an option to drop for", {{IPPROTO_DSTOPTS, option(0x5e)}}, OddFate::answered);
  extended("an option to complain of", {{IPPROTO_DSTOPTS, option(0x9e)}}, OddFate::answered);
  extended("a used route", {{IPPROTO_ROUTING, {0, 0, 0, 0, 0, 0, 0, 0}}});
  extended("a route to go", {{IPPROTO_ROUTING, {0, 0, 0, 1, 0, 0, 0, 0}}}, OddFate::answered);
  extended("a fragment by itself", {{IPPROTO_FRAGMENT, {0, 0, 0, 0, 0, 0, 0, 7}}},
           OddFate::unanswered);
  extended("the first fragment", {{IPPROTO_FRAGMENT, {0, 0, 0, 1, 0, 0, 0, 7}}});
  extended("a later fragment", {{IPPROTO_FRAGMENT, {0, 0, 0, 8, 0, 0, 0, 7}}});
  extended("five", std::vector<ExtensionHeader>(5, {IPPROTO_DSTOPTS, padding}));
}

void add_ipv6_addresses(Collection& odd) {
  odd.from("::", OddFate::unanswered);
  for (const std::string_view source : {"::1", "ff02::7", "ff0e::7"})
    odd.from(source);
  odd.altered("from ::ffff:198.18.0.7", [](Bytes& frame) {
    constexpr std::uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 18, 0, 7};
    std::ranges::copy(mapped, frame.begin() + ETH_HLEN + 8);
    renew_checksums(std::span{frame}.subspan(ETH_HLEN));
  });
  odd.from("::198.18.0.7");
  odd.from("2002:c612:7::7");
  odd.from("fc00::7");
  odd.from(addresses_of("trap").ipv6, OddFate::answered);
  odd.from(inner_ipv6, OddFate::answered);
  for (const std::string_view to : {"ff02::1", "ff02::1:ff00:10"})
    odd.in_tcp(fmt::format("to {}", to),
               [address = parsed(to)](Segment& segment) { segment.to.address = address; });
}

void add_tcp(Collection& odd) {
  for (unsigned flags = 0; flags < 256; flags++)
    if ((flags & tcp_syn) && !(flags & tcp_ack) && flags != tcp_syn)
      odd.in_tcp(fmt::format("flags {:02x}", flags),
                 [flags](Segment& segment) { segment.flags = static_cast<std::uint8_t>(flags); });
  for (const unsigned flags : {0U, 0x01U, 0x04U, 0x08U, 0x20U, 0x29U})
    odd.in_tcp(fmt::format("flags {:02x}", flags),
               [flags](Segment& segment) { segment.flags = static_cast<std::uint8_t>(flags); });
  odd.in_tcp(
      "a wrong checksum", [](Segment& segment) { segment.checksum_damage = 0x0100; },
      OddFate::answered);
  for (const std::size_t bytes : {1, 500, 1200})
    odd.in_tcp(fmt::format("{} bytes of data", bytes),
               [bytes](Segment& segment) { segment.payload.assign(bytes, 'x'); });
  for (const std::uint32_t seq : {0U, 0x7fffffffU, 0xfffffffeU, 0xffffffffU})
    odd.in_tcp(fmt::format("sequence number {}", seq),
               [seq](Segment& segment) { segment.seq = seq; });
  odd.in_tcp("a number to acknowledge", [](Segment& segment) { segment.ack = 4242; });
  odd.in_tcp("port 0", [](Segment& segment) { segment.from.port = 0; });
  odd.in_tcp("the service's own port",
             [](Segment& segment) { segment.from.port = segment.to.port; });
  for (const std::uint8_t words : {0, 4, 15})
    odd.in_tcp(fmt::format("a header of {} words", words),
               [words](Segment& segment) { segment.data_offset = words; });
  odd.in_tcp("half a header", [](Segment& segment) { segment.part_bytes = 12; });
}

} // namespace

std::vector<OddFrame> odd_frames(Family family) {
  Collection odd;
  add_ethernet(odd);
  add_tags(odd);
  if (family == Family::ipv4) {
    add_ipv4_headers(odd);
    add_ipv4_addresses(odd);
  } else {
    add_ipv6_headers(odd);
    add_ipv6_addresses(odd);
  }
  add_tcp(odd);
  return odd.frames;
}

Fields answer_to(const Wire& wire, const OddFrame& odd, const Ethernet& ethernet,
                 const Endpoint& client, const Endpoint& server) {
  Ethernet outside = ethernet;
  Segment segment = {.from = client,
                     .to = server,
                     .seq = usual_seq,
                     .flags = tcp_syn,
                     .options = TcpOptions().mss(1460).sack_permitted().timestamps(7, 0).bytes()};
  if (odd.describe)
    odd.describe(outside, segment);
  Bytes frame = build_frame(outside, segment);
  if (odd.alter)
    odd.alter(frame);
  if (!wire.send(frame))
    return {{"answer", "the frame could not be sent"}};
  const auto seen = wire.next(server, segment.from, listening_time);
  if (!seen)
    return {{"answer", "silence"}};
  const Segment end = {
      .from = segment.from, .to = server, .seq = segment.seq + 1, .flags = tcp_rst};
  (void)wire.send(build_frame(ethernet, end));
  Bytes options = seen->options;
  if (options.size() >= stamp_at + sizeof(std::uint32_t)) // of either's own clock
    std::fill_n(options.begin() + stamp_at, sizeof(std::uint32_t), 0);
  return {{"answer", fmt::format("flags {:02x}", seen->flags)},
          {"acknowledges", std::to_string(seen->ack - segment.seq)},
          {"bytes", std::to_string(seen->payload.size())},
          {"options", fmt::format("{:02x}", fmt::join(options, " "))},
          {"identification", std::to_string(seen->identification)},
          {"bytes of the IP header", std::to_string(seen->ip_bytes)},
          {"hop limit", std::to_string(seen->hop_limit)},
          {"traffic class", std::to_string(seen->traffic_class)},
          {"may be fragmented", seen->fragments ? "yes" : "no"},
          {"VLAN tag", std::to_string(seen->vlan)},
          {"outer VLAN tag", std::to_string(seen->outer_vlan)},
          {"priority", std::to_string(seen->priority)},
          {"to", fmt::format("{:02x}", fmt::join(seen->destination, ":"))},
          {"from", fmt::format("{:02x}", fmt::join(seen->source, ":"))}};
}

} // namespace trap::lab
