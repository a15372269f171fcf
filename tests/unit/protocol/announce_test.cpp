// SPDX-License-Identifier: Apache-2.0
// Announcements: MAC against the vectors, and the times at which one is accepted.
#include <gtest/gtest.h>

#include <cstring>

#include "protocol/ticket.h"
#include "tests/support/vectors.h"

namespace trap::test {
namespace {

TEST(Announce, mac_is_what_the_document_says) {
  const Json vectors = read_json("announcements.json");
  for (const Json& v : vectors["made"]) {
    const Address client = read_address(v["client"]);
    const trap_key key = read_key(v["key"]);
    const trap_grant grant = {
        .client = client.value,
        .port = TRAP_BE16(v["port"].get<int>()),
        .family = static_cast<__u8>(client.family),
        .scope = v["scope"].get<__u8>(),
    };
    trap_announce_body body = {};
    body.lifetime_s = TRAP_BE16(v["lifetime_s"].get<int>());
    body.scope = grant.scope;
    body.tag = v["tag"].get<__u8>();
    body.issued_s = TRAP_BE32(v["issued_s"].get<std::uint32_t>());
    const __u64 mac = trap_announce_mac(&key, &body, &grant);
    EXPECT_EQ(to_hex(&mac, sizeof mac), v["mac"].get<std::string>()) << v;
    EXPECT_EQ(trap_epoch_of_second(v["issued_s"]), v["epoch"]) << v;
  }
}

TEST(Announce, option_is_what_the_document_says) {
  const Json vectors = read_json("announcements.json");
  for (const Json& v : vectors["made"]) {
    for (const bool experimental : {false, true}) {
      const Bytes address = wire_bytes(read_address(v["client"]));
      const Bytes mac = read_hex(v["mac"].get<std::string>());
      trap_announce_body body = {};
      body.lifetime_s = TRAP_BE16(v["lifetime_s"].get<int>());
      body.scope = v["scope"].get<__u8>();
      body.tag = v["tag"].get<__u8>();
      body.issued_s = TRAP_BE32(v["issued_s"].get<std::uint32_t>());
      std::memcpy(body.mac, mac.data(), mac.size());

      std::uint8_t option[40];
      const __u32 body_bytes = trap_body_bytes(TRAP_ANNOUNCE, static_cast<__u32>(address.size()));
      const __u32 header_bytes = trap_put_header(option, TRAP_ANNOUNCE, body_bytes, experimental);
      std::memcpy(option + header_bytes, &body, sizeof body);
      std::memcpy(option + header_bytes + sizeof body, address.data(), address.size());
      EXPECT_EQ(to_hex(option, header_bytes + body_bytes),
                v[experimental ? "option_experimental" : "option"].get<std::string>())
          << v;
    }
  }
}

TEST(Announce, counts_only_in_its_time) {
  const Json vectors = read_json("announcements.json");
  for (const Json& v : vectors["live"])
    EXPECT_EQ(trap_announce_is_live(v["issued_s"], v["lifetime_s"], v["unix_s"], v["skew_s"]) != 0,
              v["live"])
        << v;
}

} // namespace
} // namespace trap::test
