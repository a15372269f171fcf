// SPDX-License-Identifier: Apache-2.0
// The choice of a client's backend (docs/protocol.md 7): the slot that the document computes, in
// the table that user space filled.
#include <gtest/gtest.h>

#include "protocol/cookie.h"
#include "server/maps.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::uint16_t backends = 3;

class Selection : public testing::Test {
protected:
  void SetUp() override {
    server_ = &fresh_object(part_under_test(), constants_);
    const auto settings = server_->entries("settings").begin()->second;
    std::memcpy(&settings_, settings.data(), sizeof settings_);
    settings_.selector_key = read_key(vectors_["key"]);
    server_->put("settings", std::uint32_t{0}, settings_);
    for (std::uint32_t index = 0; index < backends; index++) {
      trap_backend backend = {};
      backend.address = constants_.address("backend", 4).value;
      backend.port = TRAP_BE16(8000 + index);
      backend.scope_v4 = TRAP_SCOPE_V4;
      backend.scope_v6 = TRAP_SCOPE_V6;
      server_->put("backends", index, backend);
    }
  }

  // Backend index of slot `own` is 2, of all others 1: the client is sent to 2 only if it falls
  // into that slot.
  void fill(std::uint32_t service_slot, std::uint32_t own) {
    trap_selection selection = {};
    selection.backend_count = backends;
    for (std::uint32_t slot = 0; slot < TRAP_SELECTION_SLOTS; slot++)
      selection.backends[slot] = slot == own ? 2 : 1;
    server_->put("selections", service_slot, selection);
  }

  std::uint32_t backend_of(const std::string& client, int family) {
    const Address source = constants_.address(client, family);
    const std::uint32_t window = trap_cookie_window(constants_.moment("now")["unix_ns"]);
    trap_key key = {};
    trap_keyring_find(&settings_.cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT, &key);
    const trap_connection connection = {.client = source.value,
                                        .server = constants_.address("public", family).value,
                                        .client_port = TRAP_BE16(40000),
                                        .server_port = TRAP_BE16(80),
                                        .client_isn = TRAP_BE32(1),
                                        .family = static_cast<__u32>(family)};
    const Json packet = {
        {"ip", {{"src", client}}},
        {"tcp", {{"flags", "A"}, {"seq", 2}, {"ack", trap_cookie(&key, &connection, window) + 1}}}};
    server_->run(part_under_test().programs[0], build_packet(packet, family, constants_));
    const Entries records = server_->entries("redirected");
    if (records.size() != 1)
      return ~0U;
    trap_redirected record;
    std::memcpy(&record, records.begin()->second.data(), sizeof record);
    return record.backend;
  }

  const TestConstants constants_;
  const Json vectors_ = read_json("selection.json");
  trap_server_settings settings_ = {};
  Object* server_ = nullptr;
};

TEST_F(Selection, follows_the_slot_of_the_masked_address) {
  int checked = 0;
  for (const Json& v : vectors_["clients"]) {
    const std::string client = v["client"];
    const int family = read_address(client).family;
    const std::uint32_t service_slot = family == 4 ? 1 : 4;
    fill(service_slot, v["slot"]);
    EXPECT_EQ(backend_of(client, family), 2u) << v;
    fill(service_slot, (v["slot"].get<std::uint32_t>() + 1) % TRAP_SELECTION_SLOTS);
    EXPECT_EQ(backend_of(client, family), 1u) << v;
    checked++;
  }
  EXPECT_EQ(checked, 6);
}

} // namespace
} // namespace trap::test
