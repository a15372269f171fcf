// SPDX-License-Identifier: Apache-2.0
// Announcements to guards: the packet against one built from its description, and the redirects
// that are announced.
#include <gtest/gtest.h>

#include "runtime/nanoseconds.h"
#include "server/daemon/announce/announce_filter.h"
#include "server/daemon/announce/announce_queue.h"
#include "server/daemon/announce/announcement.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

using server::AnnounceFilter;
using server::AnnounceQueue;

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

// As the announcer asks: true if it is announced now.
bool announces(AnnounceFilter& filter, const trap_address& client, std::uint32_t backend,
               std::uint32_t lifetime_s, std::uint64_t now_ns) {
  if (!filter.is_due(client, backend, now_ns))
    return false;
  filter.remember(client, backend, lifetime_s, now_ns);
  return true;
}

TEST(AnnounceFilter, announces_again_after_half_the_lifetime) {
  AnnounceFilter filter(trap_key_make(1, 2));
  const trap_address client = read_address("192.0.2.2").value;
  EXPECT_TRUE(announces(filter, client, 0, 600, 1000 * ns_per_s));
  EXPECT_FALSE(announces(filter, client, 0, 600, 1000 * ns_per_s));
  EXPECT_TRUE(announces(filter, client, 1, 600, 1000 * ns_per_s));
  EXPECT_FALSE(announces(filter, client, 0, 600, 1299 * ns_per_s));
  EXPECT_TRUE(announces(filter, client, 0, 600, 1300 * ns_per_s));
}

trap_redirected client_of(const char* network, std::uint32_t host) {
  trap_redirected redirected = {};
  redirected.client = read_address(network).value;
  redirected.client.be32[trap_address_is_v4(&redirected.client) ? 3 : 2] +=
      TRAP_BE32(host); // behind the network's bits
  return redirected;
}

int pop_all(AnnounceQueue& queue, std::uint64_t now_ns) {
  int sent = 0;
  while (queue.pop(now_ns))
    sent++;
  return sent;
}

TEST(AnnounceQueue, sends_no_more_than_its_rate) {
  AnnounceQueue queue(trap_key_make(1, 2), 100);
  int sent = 0;
  for (std::uint32_t i = 0; i < 10'000; i++) {
    trap_redirected redirected = {};
    redirected.client = read_address("2001:db8::").value;
    redirected.client.be32[1] = i;
    queue.push(redirected);
    sent += pop_all(queue, 1000 * ns_per_s + i * ns_per_s / 1000); // 10 s in all
  }
  EXPECT_LE(sent, 1101); // a second's worth at once, and then the rate
  EXPECT_GE(sent, 990);
}

TEST(AnnounceQueue, a_rate_of_0_sends_nothing) {
  AnnounceQueue queue(trap_key_make(1, 2), 0);
  EXPECT_FALSE(queue.push(client_of("192.0.2.0", 2)));
  EXPECT_FALSE(queue.pop(ns_per_s));
}

TEST(AnnounceQueue, keeps_the_order_of_a_network) {
  AnnounceQueue queue(trap_key_make(1, 2), 1000);
  for (std::uint32_t i = 0; i < 50; i++)
    ASSERT_TRUE(queue.push(client_of("192.0.2.0", i)));
  for (std::uint32_t i = 0; i < 50; i++) {
    const auto next = queue.pop(ns_per_s);
    ASSERT_TRUE(next);
    const trap_redirected wanted = client_of("192.0.2.0", i);
    EXPECT_TRUE(trap_address_equal(&next->client, &wanted.client)) << i;
  }
  EXPECT_TRUE(queue.is_empty());
}

// A /48, or a /24, that completes 9,000 handshakes every 70 ms, and sixty honest clients in a
// second, each of a network of its own.
TEST(AnnounceQueue, a_network_that_floods_takes_no_other_share) {
  for (const char* flooding : {"2001:db8:bad::", "198.51.100.0"}) {
    AnnounceQueue queue(trap_key_make(3, 4), 1000);
    std::uint64_t now_ns = 1000 * ns_per_s;
    std::uint32_t bot = 0;
    int honest_sent = 0, sent = 0;
    for (int client = 0; client < 60; client++) {
      for (int i = 0; i < 2000; i++)
        queue.push(client_of(flooding, bot++ % 250));
      trap_redirected honest = client_of(client % 2 ? "10.0.0.7" : "2001:db8:1::7", 0);
      honest.client.be32[client % 2 ? 3 : 1] += TRAP_BE32(static_cast<std::uint32_t>(client) << 16);
      honest.backend = 7;
      ASSERT_TRUE(queue.push(honest)) << client;
      now_ns += ns_per_s / 60;
      for (auto next = queue.pop(now_ns); next; next = queue.pop(now_ns)) {
        sent++;
        honest_sent += next->backend == 7;
      }
    }
    EXPECT_EQ(honest_sent, 60) << flooding;
    EXPECT_GT(sent, 1000) << flooding; // what honest clients leave is the flood's
    EXPECT_LE(sent, 2001) << flooding;
  }
}

} // namespace
} // namespace trap::test
