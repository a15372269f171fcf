// SPDX-License-Identifier: Apache-2.0
// The packets that daemons and trapctl send, byte for byte as release 0.4.0 sent them. A change of
// these bytes is a change of the wire: it belongs into docs/protocol.md and the CHANGELOG first.
#include <gtest/gtest.h>

#include "dataplane/packet.h"
#include "runtime/packet/handshake.h"
#include "server/daemon/announce/announcement.h"
#include "server/daemon/serving/probe_segment.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr trap_ticket ticket = {
    .epoch = 3, .tag = 9, .expiry = TRAP_BE16(0x1234), .mac = {1, 2, 3, 4, 5, 6, 7, 8}};

struct Ends {
  Endpoint client, service;
};

Ends ends_of(int family) {
  if (family == 4)
    return {*parse_endpoint("192.0.2.2:40000"), *parse_endpoint("203.0.113.10:80")};
  return {*parse_endpoint("[2001:db8:2::2]:40000"), *parse_endpoint("[2001:db8:113::10]:80")};
}

struct HandshakeCase {
  int family;
  std::uint8_t flags;
  std::uint32_t seq, ack;
  trap_option_type option;
  bool experimental;
  const char* bytes;
};

constexpr std::uint8_t syn = TRAP_TCP_SYN, ack = TRAP_TCP_ACK, rst = TRAP_TCP_RST;

constexpr HandshakeCase handshake_cases[] = {
    {4, syn, 0x11223344, 0, TRAP_OPTION_NONE, false,
     "9c40005011223344000000008002faf0951c0000020405b40101040201030307"},
    {4, syn, 0x11223344, 0, TRAP_TICKET, false,
     "9c4000501122334400000000c002faf0c5aa0000020405b401010402010303075610140003091234"
     "0102030405060708"},
    {4, ack, 0x11223344, 0x55667788, TRAP_ACCEPT, false,
     "9c4000501122334455667788b010faf040d400005604120000000000000000000000000000000000"
     "00000000"},
    {4, syn, 0x11223344, 0, TRAP_TICKET, true,
     "9c4000501122334400000000d002faf0b9500000020405b40101040201030307fd12545214000309"
     "123401020304050607080101"},
    {4, ack, 0x11223344, 0x55667788, TRAP_ACCEPT, true,
     "9c4000501122334455667788c010faf0347a0000fd06545212000101000000000000000000000000"
     "0000000000000000"},
    {4, rst, 0x11223345, 0, TRAP_OPTION_NONE, false, "9c40005011223345000000005004faf0d5ea0000"},
    {4, ack, 0x11223345, 0x55667789, TRAP_OPTION_NONE, false,
     "9c40005011223345556677895010faf008ef0000"},
    {6, syn, 0x11223344, 0, TRAP_OPTION_NONE, false,
     "9c40005011223344000000008002faf036a50000020405a00101040201030307"},
    {6, syn, 0x11223344, 0, TRAP_TICKET, false,
     "9c4000501122334400000000c002faf067330000020405a001010402010303075610140003091234"
     "0102030405060708"},
    {6, ack, 0x11223344, 0x55667788, TRAP_ACCEPT, false,
     "9c4000501122334455667788e010faf0b23c00005604120000000000000000000000000000000000"
     "00000000000000000000000000000000"},
    {6, syn, 0x11223344, 0, TRAP_TICKET, true,
     "9c4000501122334400000000d002faf05ad90000020405a00101040201030307fd12545214000309"
     "123401020304050607080101"},
    {6, ack, 0x11223344, 0x55667788, TRAP_ACCEPT, true,
     "9c4000501122334455667788f010faf0a5e20000fd06545212000101000000000000000000000000"
     "0000000000000000000000000000000000000000"},
    {6, rst, 0x11223345, 0, TRAP_OPTION_NONE, false, "9c40005011223345000000005004faf0775f0000"},
    {6, ack, 0x11223345, 0x55667789, TRAP_OPTION_NONE, false,
     "9c40005011223345556677895010faf0aa630000"},
};

TEST(GoldenWire, segments_of_a_handshake) {
  for (const HandshakeCase& wanted : handshake_cases) {
    const Ends ends = ends_of(wanted.family);
    const HandshakeSegment segment = {.from = ends.client,
                                      .to = ends.service,
                                      .flags = wanted.flags,
                                      .seq = wanted.seq,
                                      .ack = wanted.ack,
                                      .option = wanted.option,
                                      .experimental = wanted.experimental};
    EXPECT_EQ(to_hex(build_transport(describe(segment, &ticket))), wanted.bytes);
  }
}

TEST(GoldenWire, syn_of_a_listener_probe) {
  const server::ProbeSyn probe = {
      .source_port = 40001, .sequence = 0xfffffffe, .timestamp = 0x01020304};
  EXPECT_EQ(to_hex(server::build_probe(ends_of(4).service, probe)),
            "9c410050fffffffe00000000a002faf034630000020405b40402080a010203040000000001030307");
  EXPECT_EQ(to_hex(server::build_probe(ends_of(6).service, probe)),
            "9c410050fffffffe00000000a002faf04ed50000020405a00402080a010203040000000001030307");
}

// The kernel fills in an IPv4 packet's length and checksum: 0.4.0 left them 0, so they are blanked
// here after they were found right.
TEST(GoldenWire, syn_of_a_renewal) {
  for (const auto& [family, wanted] :
       {std::pair{4, "450000000000400040060000c0000202cb00710a9c40005011223344000000008002faf0951c"
                     "0000020405b40101040201030307"},
        std::pair{6, "600000000020064020010db800020000000000000000000220010db80113000000000000"
                     "000000109c40005011223344000000008002faf036a50000020405a00101040201030307"}}) {
    const Ends ends = ends_of(family);
    Bytes packet = build_packet(describe(
        {.from = ends.client, .to = ends.service, .flags = syn, .seq = 0x11223344}, nullptr));
    if (family == 4) {
      EXPECT_EQ(internet_checksum({packet.begin(), packet.begin() + 20}), 0);
      EXPECT_EQ(packet[2] << 8 | packet[3], static_cast<int>(packet.size()));
      for (const std::size_t blanked : {2, 3, 10, 11})
        packet[blanked] = 0;
    }
    EXPECT_EQ(to_hex(packet), wanted);
  }
}

struct AnnouncementCase {
  int family;
  bool experimental;
  const char* bytes;
};

constexpr AnnouncementCase announcement_cases[] = {
    {4, false,
     "450000400000400040063cabcb00710ac00002021f901f900000000000000000b0040000b1980000"
     "56181500025820076553f100f8573acd53ac3462c0000202"},
    {4, true,
     "450000440000400040063ca7cb00710ac00002021f901f900000000000000000c0040000a53e0000"
     "0101fd1a54521500025820076553f100f8573acd53ac3462c0000202"},
    {6, false,
     "600000000038064020010db801130000000000000000001020010db8000200000000000000000002"
     "1f901f900000000000000000e0040000b964000056241500025840076553f1006f31dbe47199dc59"
     "20010db8000200000000000000000002"},
    {6, true,
     "60000000003c064020010db801130000000000000000001020010db8000200000000000000000002"
     "1f901f900000000000000000f0040000ad0a00000101fd2654521500025840076553f1006f31dbe4"
     "7199dc5920010db8000200000000000000000002"},
};

TEST(GoldenWire, announcements) {
  const trap_key key = trap_key_make(0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL);
  for (const AnnouncementCase& wanted : announcement_cases) {
    const Ends ends = ends_of(wanted.family);
    const server::Announcement announcement = {
        .source = ends.service.address,
        .backend = {ends.client.address, 8080},
        .client = ends.client.address,
        .scope = static_cast<std::uint8_t>(wanted.family == 4 ? TRAP_SCOPE_V4 : TRAP_SCOPE_V6),
        .tag = 7,
        .lifetime_s = 600,
        .issued_s = 1700000000};
    EXPECT_EQ(to_hex(server::build_announcement(announcement, key, wanted.experimental)),
              wanted.bytes);
  }
}

} // namespace
} // namespace trap::test
