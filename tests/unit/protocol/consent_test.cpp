// SPDX-License-Identifier: Apache-2.0
// CONSENT: value and block against the vectors, and what the value depends on.
#include "protocol/consent.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

trap_ticket read_ticket(const Bytes& bytes) {
  trap_ticket ticket;
  EXPECT_EQ(bytes.size(), sizeof ticket);
  std::memcpy(&ticket, bytes.data(), sizeof ticket);
  return ticket;
}

TEST(Consent, is_what_the_document_says) {
  const Json vectors = read_json("consents.json");
  for (const Json& v : vectors) {
    const trap_ticket ticket = read_ticket(read_hex(v["ticket"].get<std::string>()));
    const __u32 value = trap_consent(&ticket);
    EXPECT_EQ(to_hex(&value, sizeof value), v["value"].get<std::string>()) << v;
    for (const int experimental : {0, 1}) {
      trap_consent_block block;
      const __u32 bytes = trap_put_consent(&block, value, experimental);
      EXPECT_EQ(bytes, trap_consent_block_bytes(experimental));
      EXPECT_EQ(to_hex(block.bytes, bytes),
                v[experimental ? "block_experimental" : "block"].get<std::string>())
          << v;
    }
  }
}

TEST(Consent, is_read_back_from_its_body) {
  trap_consent_block block;
  trap_put_consent(&block, 0x12345678, 0);
  trap_consent_body body;
  std::memcpy(&body, block.bytes + TRAP_HEADER_BYTES, sizeof body);
  EXPECT_EQ(body.flags, 0);
  EXPECT_EQ(trap_get_consent(&body), 0x12345678u);
}

TEST(Consent, depends_on_every_bit_of_the_ticket) {
  const Bytes bytes = read_hex(read_json("consents.json")[0]["ticket"].get<std::string>());
  std::set<__u32> values;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit++) {
    Bytes flipped = bytes;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1 << bit % 8);
    const trap_ticket ticket = read_ticket(flipped);
    values.insert(trap_consent(&ticket));
  }
  const trap_ticket ticket = read_ticket(bytes);
  values.insert(trap_consent(&ticket));
  EXPECT_EQ(values.size(), 8 * bytes.size() + 1);
}

TEST(Consent, leaves_room_for_what_a_stack_sends) {
  constexpr __u32 linux_syn_ack = 20;
  for (const int experimental : {0, 1}) {
    EXPECT_EQ(trap_consent_block_bytes(experimental) % 4, 0u);
    EXPECT_LE(linux_syn_ack + trap_consent_block_bytes(experimental),
              static_cast<__u32>(TRAP_TCP_OPTIONS_MAX));
  }
}

} // namespace
} // namespace trap::test
