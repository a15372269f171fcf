// SPDX-License-Identifier: Apache-2.0
// Announcements to guards: the packet against one built from its description, and the redirects
// that are announced.
#include <gtest/gtest.h>

#include "runtime/nanoseconds.h"
#include "server/daemon/announce/announce_filter.h"
#include "server/daemon/announce/announcement.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

using server::AnnounceChoice;
using server::AnnounceFilter;

TEST(Announcement, is_the_packet_that_guards_accept) {
  const TestConstants constants;
  const Json& moment = constants.moment("now");
  const trap_key key = read_key(moment["epochs"][1]["announce_key"]);
  for (const int family : {4, 6}) {
    for (const bool experimental : {false, true}) {
      const server::Announcement announcement = {
          .source = constants.address("trap-server", family).value,
          .backend = {constants.address("backend", family).value, 80},
          .client = constants.address("client", family).value,
          .scope = static_cast<std::uint8_t>(family == 4 ? 32 : 64),
          .tag = 0,
          .lifetime_s = 600,
          .issued_s = moment["unix_s"],
      };
      const Bytes got = server::build_announcement(announcement, key, experimental);
      const Json description = {
          {"ip", {{"src", "trap-server"}, {"dst", "backend"}}},
          {"tcp",
           {{"sport", 80},
            {"padding", "nop-before"},
            {"flags", "R"},
            {"window", 0},
            {"options", {{{"announce", "$announce.valid"}, {"experimental", experimental}}}}}}};
      const Bytes frame = build_packet(description, family, constants);
      EXPECT_EQ(difference(Bytes(frame.begin() + 14, frame.end()), got), "")
          << family << experimental;
    }
  }
}

TEST(AnnounceFilter, announces_again_after_half_the_lifetime) {
  AnnounceFilter filter(trap_key_make(1, 2), 1000);
  const trap_address client = read_address("192.0.2.2").value;
  EXPECT_EQ(filter.choose(client, 0, 600, 1000 * kNsPerS), AnnounceChoice::send);
  EXPECT_EQ(filter.choose(client, 0, 600, 1000 * kNsPerS), AnnounceChoice::deduplicated);
  EXPECT_EQ(filter.choose(client, 1, 600, 1000 * kNsPerS), AnnounceChoice::send);
  EXPECT_EQ(filter.choose(client, 0, 600, 1299 * kNsPerS), AnnounceChoice::deduplicated);
  EXPECT_EQ(filter.choose(client, 0, 600, 1300 * kNsPerS), AnnounceChoice::send);
}

TEST(AnnounceFilter, sends_no_more_than_its_rate) {
  AnnounceFilter filter(trap_key_make(1, 2), 100);
  int sent = 0;
  for (std::uint32_t i = 0; i < 10'000; i++) {
    trap_address client = read_address("2001:db8::").value;
    client.be32[1] = i;
    const std::uint64_t now_ns = 1000 * kNsPerS + i * kNsPerS / 1000; // 10 s in all
    if (filter.choose(client, 0, 600, now_ns) == AnnounceChoice::send)
      sent++;
  }
  EXPECT_LE(sent, 1101); // a second's worth at once, and then the rate
  EXPECT_GE(sent, 990);
}

TEST(AnnounceFilter, a_rate_of_0_sends_nothing) {
  AnnounceFilter filter(trap_key_make(1, 2), 0);
  EXPECT_EQ(filter.choose(read_address("192.0.2.2").value, 0, 600, kNsPerS),
            AnnounceChoice::rate_limited);
}

} // namespace
} // namespace trap::test
