// SPDX-License-Identifier: Apache-2.0
// The key schedule of docs/protocol.md 5 is what libsodium computes, so that the document and the
// daemons cannot drift apart.
#include <gtest/gtest.h>
#include <sodium.h>

#include <string>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

std::string derive(const Bytes& key, std::uint64_t id, const char* context) {
  Bytes out(16);
  EXPECT_EQ(crypto_kdf_blake2b_derive_from_key(out.data(), out.size(), id, context, key.data()), 0);
  return to_hex(out);
}

class Keys : public testing::Test {
protected:
  void SetUp() override { ASSERT_GE(sodium_init(), 0); }
  const Json schedules_ = read_json("keys.json");
};

TEST_F(Keys, of_servers_come_from_the_master) {
  for (const Json& schedule : schedules_) {
    const Bytes master = read_hex(schedule["master"].get<std::string>());
    EXPECT_EQ(derive(master, 0, "TRAPpick"), schedule["selector_key"].get<std::string>());
    for (const Json& key : schedule["cookie_keys"])
      EXPECT_EQ(derive(master, key["epoch"], "TRAPcook"), key["key"].get<std::string>());
  }
}

TEST_F(Keys, of_guards_come_from_the_guard_secret) {
  for (const Json& schedule : schedules_) {
    for (const Json& guard : schedule["guards"]) {
      const Bytes secret = read_hex(guard["secret"].get<std::string>());
      for (const Json& key : guard["ticket_keys"])
        EXPECT_EQ(derive(secret, key["epoch"], "TRAPtick"), key["key"].get<std::string>());
      for (const Json& key : guard["announce_keys"])
        EXPECT_EQ(derive(secret, key["epoch"], "TRAPannc"), key["key"].get<std::string>());
    }
  }
}

TEST_F(Keys, guard_secret_is_the_keyed_hash_of_its_name) {
  for (const Json& schedule : schedules_) {
    const Bytes master = read_hex(schedule["master"].get<std::string>());
    for (const Json& guard : schedule["guards"]) {
      const std::string message =
          std::string("TRAP guard 1") + '\0' + guard["name"].get<std::string>();
      Bytes secret(32);
      crypto_generichash_blake2b(secret.data(), secret.size(),
                                 reinterpret_cast<const unsigned char*>(message.data()),
                                 message.size(), master.data(), master.size());
      EXPECT_EQ(to_hex(secret), guard["secret"].get<std::string>()) << guard["name"];
    }
  }
}

} // namespace
} // namespace trap::test
