// SPDX-License-Identifier: Apache-2.0
// The product's packet builder against two others: the tests' own, which shares no code with it,
// makes the same bytes of thousands of random descriptions; libtins parses them and writes them
// again, with checksums of its own, without a difference.
#include "runtime/packet/segment.h"

#include <gtest/gtest.h>
#include <tins/tins.h>

#include <random>

#include "dataplane/checksum.h"
#include "runtime/packet/tcp_options.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr int descriptions = 4000;

// One packet in both vocabularies.
struct Described {
  int family = 4;
  Json json;
  Ethernet ethernet = {.destination = {2, 0, 0, 0, 0, 2}, .source = {2, 0, 0, 0, 0, 1}};
  Segment segment;
};

class Inventor {
public:
  explicit Inventor(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
  template <typename Number> Number any() { return static_cast<Number>(random_()); }
  Bytes bytes(std::size_t count) {
    Bytes made(count);
    for (auto& byte : made)
      byte = one_in(8) ? 0xff : any<std::uint8_t>();
    return made;
  }
  Bytes bytes_below(std::size_t end) { return bytes(below(end)); }
  trap_address address(int family) {
    trap_address made = family == 4 ? trap_address_v4(any<std::uint32_t>()) : trap_address{};
    if (family == 6) {
      made.raw64[0] = any<std::uint64_t>() | 0x20; // 2000::/3 at least, so never IPv4-mapped
      made.raw64[1] = any<std::uint64_t>();
    }
    return made;
  }

private:
  std::mt19937_64 random_;
};

void add_trap_option(Inventor& inventor, Json& json, TcpOptions& options, trap_option_type type,
                     std::size_t body_bytes) {
  const Bytes body = inventor.bytes(body_bytes);
  const bool experimental = inventor.one_in(3);
  options.trap(type, body, experimental);
  json.push_back(
      {{"trap_type", type}, {"body", to_hex(body)}, {"experimental", experimental ? 1 : 0}});
}

void add_option(Inventor& inventor, Json& json, TcpOptions& options, int family) {
  const std::size_t address_bytes = family == 4 ? 4 : 16;
  switch (inventor.below(9)) {
  case 0: {
    const auto mss = inventor.any<std::uint16_t>();
    options.mss(mss);
    return json.push_back({{"mss", mss}});
  }
  case 1:
    options.nop(2);
    return json.push_back({{"nop", 2}});
  case 2:
    options.mss(4321).sack_permitted().timestamps(0x10e1, 0).nop().window_scale(7);
    return json.push_back({{"hex", "020410e10402080a000010e10000000001030307"}});
  case 3:
    options.align();
    return;
  case 4:
    return add_trap_option(inventor, json, options, TRAP_OFFER, 1);
  case 5:
    return add_trap_option(inventor, json, options, TRAP_ACCEPT, 1);
  case 6:
    return add_trap_option(inventor, json, options, TRAP_TICKET, 13);
  case 7:
    return add_trap_option(inventor, json, options, TRAP_REDIRECT, 17 + address_bytes);
  default:
    return add_trap_option(inventor, json, options, TRAP_ANNOUNCE, 17 + address_bytes);
  }
}

void describe_options(Inventor& inventor, Described& described) {
  Json json = Json::array();
  TcpOptions options;
  for (std::uint64_t i = inventor.below(4); i > 0; i--) {
    Json more = json;
    TcpOptions longer = options;
    const std::size_t before = longer.bytes().size();
    add_option(inventor, more, longer, described.family);
    if (more.size() == json.size() && longer.bytes().size() > before) // align() says nothing there
      more.push_back({{"nop", longer.bytes().size() - before}});
    if (longer.bytes().size() > TRAP_TCP_OPTIONS_MAX)
      break;
    json = more;
    options = longer;
  }
  described.segment.options = options.bytes();
  described.json["tcp"]["options"] = json;
}

void describe_tcp(Inventor& inventor, Described& described) {
  Segment& segment = described.segment;
  segment.from.port = inventor.any<std::uint16_t>();
  segment.to.port = inventor.any<std::uint16_t>();
  segment.seq = inventor.any<std::uint32_t>();
  segment.ack = inventor.any<std::uint32_t>();
  segment.flags = inventor.any<std::uint8_t>();
  segment.window = inventor.any<std::uint16_t>();
  segment.payload = inventor.one_in(2) ? Bytes{} : inventor.bytes_below(1400);
  described.json["tcp"] = {{"sport", segment.from.port}, {"dport", segment.to.port},
                           {"seq", segment.seq},         {"ack", segment.ack},
                           {"flags", segment.flags},     {"window", segment.window}};
  described.json["payload"] = to_hex(segment.payload);
  describe_options(inventor, described);
}

void describe_ipv4(Inventor& inventor, Described& described) {
  IpFields& ip = described.segment.ip;
  ip.identification = inventor.any<std::uint16_t>();
  const bool df = !inventor.one_in(4);
  ip.fragment = df ? ipv4_dont_fragment : std::uint16_t{0};
  ip.options = inventor.one_in(3) ? Bytes(4 * inventor.below(11), 1) : Bytes{};
  Json& json = described.json["ip"];
  json["id"] = ip.identification;
  json["df"] = df ? 1 : 0;
  json["options"] = to_hex(ip.options);
}

void describe_ipv6(Inventor& inventor, Described& described) {
  constexpr std::uint8_t destination = 60, routing = 43, hop_by_hop = 0;
  Json list = Json::array();
  for (std::uint64_t i = inventor.one_in(2) ? inventor.below(6) : 0; i > 0; i--) {
    const std::uint8_t types[] = {hop_by_hop, routing, destination};
    const std::uint8_t type = types[inventor.below(3)];
    const auto length = static_cast<std::uint8_t>(8 * (1 + inventor.below(4)));
    Bytes bytes(length);
    bytes[1] = static_cast<std::uint8_t>(length / 8 - 1);
    bytes[2] = 1; // PadN
    bytes[3] = static_cast<std::uint8_t>(length - 4);
    described.segment.ip.extensions.push_back({type, bytes});
    list.push_back({{"type", type}, {"length", length}});
  }
  described.json["ip"]["extensions"] = list;
}

Described invent(Inventor& inventor) {
  Described described;
  described.family = inventor.one_in(2) ? 4 : 6;
  described.segment.from.address = inventor.address(described.family);
  described.segment.to.address = inventor.address(described.family);
  described.segment.ip.hop_limit = inventor.any<std::uint8_t>();
  described.json["ip"] = {{"src", format_address(described.segment.from.address)},
                          {"dst", format_address(described.segment.to.address)},
                          {"hops", described.segment.ip.hop_limit}};
  described.json["eth"] = {{"dst", "02:00:00:00:00:02"}, {"src", "02:00:00:00:00:01"}};
  const std::uint64_t tags = inventor.one_in(3) ? inventor.below(9) : 0;
  described.json["vlan"] = tags;
  for (std::uint64_t i = 0; i < tags; i++)
    described.ethernet.tags.push_back(
        {static_cast<std::uint16_t>(tags > 1 && i == 0 ? 0x88a8 : 0x8100),
         static_cast<std::uint16_t>(100 + i)});
  describe_tcp(inventor, described);
  if (described.family == 4)
    describe_ipv4(inventor, described);
  else
    describe_ipv6(inventor, described);
  return described;
}

void add_defect(Inventor& inventor, Described& described) {
  Segment& segment = described.segment;
  const auto damage = static_cast<std::uint16_t>(1 + inventor.below(0xffff));
  switch (inventor.below(5)) {
  case 0:
    segment.data_offset = static_cast<std::uint8_t>(inventor.below(16));
    described.json["tcp"]["data_offset"] = *segment.data_offset;
    break;
  case 1:
    segment.checksum_damage = damage;
    described.json["tcp"]["checksum_damage"] = damage;
    break;
  case 2:
    segment.ip.checksum_damage = damage; // there is none in IPv6
    described.json["ip"]["checksum_damage"] = damage;
    break;
  case 3:
    segment.cut_bytes = 1 + inventor.below(20);
    described.json["truncate"] =
        build_packet(described.json, described.family, TestConstants()).size() - segment.cut_bytes;
    break;
  default: {
    const auto offset = static_cast<std::uint16_t>(inventor.below(100));
    segment.ip.fragment = ipv4_more_fragments | offset;
    segment.ip.extensions.push_back(
        {44,
         {0, 0, static_cast<std::uint8_t>(offset >> 5), static_cast<std::uint8_t>(offset << 3 | 1),
          0x12, 0x34, 0x56, 0x78}});
    Json& ip = described.json["ip"];
    ip["df"] = 0;
    ip["more_fragments"] = 1;
    ip["fragment_offset"] = 8 * offset;
    ip["extensions"].push_back({{"type", 44}, {"offset", 8 * offset}, {"more", 1}});
  }
  }
}

TEST(Segment, is_what_the_independent_builder_makes_of_the_same_description) {
  Inventor inventor(1);
  const TestConstants constants;
  for (int i = 0; i < descriptions; i++) {
    Described described = invent(inventor);
    if (inventor.one_in(2))
      add_defect(inventor, described);
    const Bytes wanted = build_packet(described.json, described.family, constants);
    ASSERT_EQ(difference(wanted, build_frame(described.ethernet, described.segment)), "")
        << described.json;
    described.json["eth"] = "none";
    if (described.segment.cut_bytes == 0)
      ASSERT_EQ(difference(build_packet(described.json, described.family, constants),
                           build_packet(described.segment)),
                "")
          << described.json;
  }
}

template <typename Ip> void expect_same_from_libtins(const Described& described) {
  const Bytes packet = build_packet(described.segment);
  Ip parsed(packet.data(), static_cast<std::uint32_t>(packet.size()));
  const auto* tcp = parsed.template find_pdu<Tins::TCP>();
  ASSERT_NE(tcp, nullptr) << described.json;
  ASSERT_EQ(tcp->seq(), described.segment.seq);
  ASSERT_EQ(difference(packet, parsed.serialize()), "") << described.json;
}

TEST(Segment, survives_libtins_without_a_difference) {
  Inventor inventor(2);
  for (int i = 0; i < descriptions; i++) {
    const Described described = invent(inventor);
    if (described.family == 4)
      expect_same_from_libtins<Tins::IP>(described);
    else
      expect_same_from_libtins<Tins::IPv6>(described);
  }
}

TEST(Segment, carries_a_part_of_itself_as_a_fragment_does) {
  Segment whole = {.from = *parse_endpoint("192.0.2.2:40000"),
                   .to = *parse_endpoint("203.0.113.10:80"),
                   .payload = Bytes(100, 'x')};
  const Bytes tcp = build_transport(whole);
  for (const auto& [from, bytes, wanted] :
       {std::tuple<std::size_t, std::size_t, std::size_t>{0, 8, 8},
        {8, 1000, 112},
        {16, 16, 16},
        {200, 8, 0}}) {
    whole.part_from = from;
    whole.part_bytes = bytes;
    const Bytes packet = build_packet(whole);
    ASSERT_EQ(packet.size(), 20 + wanted);
    EXPECT_EQ(packet[3], packet.size());
    EXPECT_TRUE(std::equal(
        packet.begin() + 20, packet.end(),
        tcp.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(from, tcp.size()))));
  }
}

TEST(Datagram, is_what_the_independent_builder_makes_of_the_same_description) {
  Inventor inventor(3);
  const TestConstants constants;
  for (int i = 0; i < 200; i++) {
    const int family = inventor.one_in(2) ? 4 : 6;
    const Datagram datagram = {.from = {inventor.address(family), inventor.any<std::uint16_t>()},
                               .to = {inventor.address(family), inventor.any<std::uint16_t>()},
                               .payload = inventor.bytes_below(100)};
    const Json json = {{"eth", "none"},
                       {"ip",
                        {{"src", format_address(datagram.from.address)},
                         {"dst", format_address(datagram.to.address)},
                         {"protocol", 17}}},
                       {"udp", {{"sport", datagram.from.port}, {"dport", datagram.to.port}}},
                       {"payload", to_hex(datagram.payload)}};
    ASSERT_EQ(difference(build_packet(json, family, constants), build_packet(datagram)), "")
        << json;
  }
}

// The independent builder knows no ICMP: its parts are put together here.
Bytes icmp_by_hand(const trap_address& from, const trap_address& to, Bytes message, int family) {
  const Json ip = {{"src", format_address(from)},
                   {"dst", format_address(to)},
                   {"protocol", family == 4 ? 1 : 58}};
  Bytes summed = message;
  if (family == 6) {
    const Bytes pseudo = build_packet({{"eth", "none"}, {"ip", ip}}, family, TestConstants());
    summed.assign(pseudo.begin() + 8, pseudo.end());
    for (const std::size_t word : {message.size(), std::size_t{58}})
      for (int shift = 24; shift >= 0; shift -= 8)
        summed.push_back(static_cast<std::uint8_t>(word >> shift));
    summed.insert(summed.end(), message.begin(), message.end());
  }
  const std::uint16_t checksum = internet_checksum(summed);
  message[2] = static_cast<std::uint8_t>(checksum >> 8);
  message[3] = static_cast<std::uint8_t>(checksum);
  return build_packet({{"eth", "none"}, {"ip", ip}, {"payload", to_hex(message)}}, family,
                      TestConstants());
}

TEST(IcmpMessage, error_quotes_the_packet_that_it_is_about) {
  for (const int family : {4, 6}) {
    const Segment about = {
        .from = *parse_endpoint(family == 4 ? "198.51.100.20:80" : "[2001:db8:51::20]:80"),
        .to = *parse_endpoint(family == 4 ? "192.0.2.2:40000" : "[2001:db8:2::2]:40000"),
        .seq = 7,
        .flags = 0x12};
    const trap_address reporter = *parse_address(family == 4 ? "192.0.2.1" : "2001:db8:2::1");
    const IcmpMessage error =
        icmp_error(reporter, family == 4 ? 3 : 2, family == 4 ? 4 : 0, 1280, about);
    Bytes message = {error.type, error.code, 0, 0, 0, 0, 5, 0};
    const Bytes quoted = build_packet(about);
    message.insert(message.end(), quoted.begin(), quoted.end());
    EXPECT_EQ(difference(icmp_by_hand(reporter, about.from.address, message, family),
                         build_packet(error)),
              "")
        << family;
  }
}

TEST(Checksum, of_bytes_at_any_address_and_of_any_number_is_rfc_1071s) {
  Inventor inventor(5);
  for (int i = 0; i < descriptions; i++) {
    const Bytes bytes = inventor.bytes(1 + inventor.below(64));
    const std::size_t from = inventor.below(std::min<std::size_t>(bytes.size(), 5));
    const Bytes summed(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end());
    ASSERT_EQ(TRAP_FROM_BE16(trap_sum_fold(
                  trap_sum_bytes(bytes.data() + from, static_cast<std::uint32_t>(summed.size())))),
              internet_checksum(summed))
        << to_hex(summed);
  }
}

} // namespace
} // namespace trap::test
