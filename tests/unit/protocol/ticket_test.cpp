// SPDX-License-Identifier: Apache-2.0
// Tickets: bytes against the vectors, life at the wraps of ticket time, and what the MAC covers.
#include "protocol/ticket.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

trap_grant read_grant(const Json& v) {
  const Address client = read_address(v["client"]);
  return {
      .client = client.value,
      .port = TRAP_BE16(v["port"].get<int>()),
      .family = static_cast<__u8>(client.family),
      .scope = v["scope"].get<__u8>(),
  };
}

TEST(Ticket, is_what_the_document_says) {
  const Json vectors = read_json("tickets.json");
  for (const Json& v : vectors["made"]) {
    const trap_key key = read_key(v["key"]);
    const trap_grant grant = read_grant(v);
    const trap_ticket ticket =
        trap_ticket_make(&key, v["epoch"], v["unix_s"], v["lifetime_s"], v["tag"], &grant);
    EXPECT_EQ(to_hex(&ticket, sizeof ticket), v["ticket"].get<std::string>()) << v;
    EXPECT_TRUE(trap_ticket_is_live(&ticket, v["unix_s"], 0)) << v;
  }
}

TEST(Ticket, verifies_from_its_bytes) {
  const Json vectors = read_json("tickets.json");
  for (const Json& v : vectors["made"]) {
    const Bytes bytes = read_hex(v["ticket"].get<std::string>());
    trap_ticket ticket;
    ASSERT_EQ(bytes.size(), sizeof ticket);
    std::memcpy(&ticket, bytes.data(), sizeof ticket);
    const trap_key key = read_key(v["key"]);
    const trap_grant grant = read_grant(v);
    EXPECT_EQ(trap_ticket_mac(&key, &ticket, &grant), trap_get_mac(ticket.mac)) << v;
  }
}

TEST(Ticket, lives_for_its_lifetime_and_the_skew_of_clocks) {
  const Json vectors = read_json("tickets.json");
  for (const Json& v : vectors["live"]) {
    trap_ticket ticket = {};
    ticket.expiry = TRAP_BE16(v["expiry"].get<int>());
    EXPECT_EQ(trap_ticket_is_live(&ticket, v["unix_s"], v["skew_s"]) != 0, v["live"]) << v;
  }
}

TEST(Ticket, no_bit_of_it_can_change_unnoticed) {
  const Json vectors = read_json("tickets.json");
  for (const Json& v : vectors["made"]) {
    const Bytes bytes = read_hex(v["ticket"].get<std::string>());
    const trap_key key = read_key(v["key"]);
    const trap_grant grant = read_grant(v);
    // From bit 8: the epoch before it chooses the key, so that a guard would ask with another one.
    for (std::size_t bit = 8; bit < 8 * bytes.size(); bit++) {
      Bytes flipped = bytes;
      flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1 << bit % 8);
      trap_ticket ticket;
      std::memcpy(&ticket, flipped.data(), sizeof ticket);
      EXPECT_NE(trap_ticket_mac(&key, &ticket, &grant), trap_get_mac(ticket.mac))
          << "bit " << bit << " of " << v;
    }
  }
}

TEST(Ticket, is_for_one_scope_of_clients_and_one_port) {
  const Json vectors = read_json("tickets.json");
  const Json& v = vectors["made"][0];
  const trap_key key = read_key(v["key"]);
  const trap_grant grant = read_grant(v);
  const trap_ticket ticket =
      trap_ticket_make(&key, v["epoch"], v["unix_s"], v["lifetime_s"], v["tag"], &grant);
  const __u64 mac = trap_get_mac(ticket.mac);

  trap_grant other = grant;
  other.client.be32[3] ^= TRAP_BE32(1);
  EXPECT_NE(trap_ticket_mac(&key, &ticket, &other), mac);
  other = grant;
  other.port = TRAP_BE16(81);
  EXPECT_NE(trap_ticket_mac(&key, &ticket, &other), mac);
  other = grant;
  other.scope = 31;
  EXPECT_NE(trap_ticket_mac(&key, &ticket, &other), mac);
}

TEST(Ticket, holds_for_every_address_of_its_scope) {
  const trap_key key = trap_key_make(1, 2);
  trap_grant grant = {.client = read_address("2001:db8:1:2::1").value,
                      .port = TRAP_BE16(80),
                      .family = TRAP_IPV6,
                      .scope = 64};
  const trap_ticket ticket = trap_ticket_make(&key, 5, 1000, 60, 0, &grant);
  grant.client = read_address("2001:db8:1:2:ffff:ffff:ffff:ffff").value;
  EXPECT_EQ(trap_ticket_mac(&key, &ticket, &grant), trap_get_mac(ticket.mac));
  grant.client = read_address("2001:db8:1:3::1").value;
  EXPECT_NE(trap_ticket_mac(&key, &ticket, &grant), trap_get_mac(ticket.mac));
}

} // namespace
} // namespace trap::test
