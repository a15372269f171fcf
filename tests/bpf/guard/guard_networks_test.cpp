// SPDX-License-Identifier: Apache-2.0
// Budgets that clients share with others: of a network with all its clients, and of SYNs by
// announcement, whose sources can be spoofed, apart from those with tickets.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "dataplane/verdict.h"
#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::uint8_t tag = 7;
constexpr int l2 = 14;

// Nothing comes back while a test runs.
trap_rate tokens(std::uint64_t burst, std::uint32_t chunk) {
  constexpr std::uint64_t token_ns = 1'000'000'000'000;
  return {.token_ns = token_ns, .burst_ns = token_ns * burst, .chunk = chunk, .reserved = 0};
}

class GuardNetworks : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    guard_ = &fresh_object(part_under_test(), constants_);
    set_limits([](auto&, auto&) {});
  }

  // Tag 7 without any limit but what `change` sets.
  void set_limits(const std::function<void(trap_guard_class&, trap_network_class&)>& change) {
    trap_guard_class client = {};
    trap_network_class network = {};
    change(client, network);
    guard_->put("classes", std::uint32_t{tag}, client);
    guard_->put("network_classes", std::uint32_t{tag}, network);
  }

  // A packet of the client, or of neighbour `number` of its /24 or /48, who is a client by himself.
  Bytes packet(std::uint32_t number, const Json& tcp) const {
    Bytes frame =
        build_packet({{"ip", {{"dst", "backend"}}}, {"tcp", tcp}}, GetParam(), constants_);
    if (GetParam() == 4)
      frame[l2 + 15] = static_cast<std::uint8_t>(frame[l2 + 15] ^ number);
    else
      frame[l2 + 8 + 7] = static_cast<std::uint8_t>(frame[l2 + 8 + 7] ^ number);
    return frame;
  }

  void announce(std::uint32_t number) {
    const std::uint64_t now = constants_.moment("now")["unix_s"];
    const Json entry = {
        {"client", "client-scope"}, {"port", 80}, {"scope", "$scope"}, {"in_s", 600}, {"tag", tag}};
    DescribedEntry described = describe_entry("announced", entry, GetParam(), constants_, now);
    trap_announced_key key = {};
    std::memcpy(&key, described.key.data(), sizeof key);
    key.client.bytes[GetParam() == 4 ? 15 : 7] ^= static_cast<std::uint8_t>(number);
    guard_->put("announced", bytes_of(key), described.value);
  }

  bool is(trap_verdict verdict, const Bytes& frame) const {
    const std::uint64_t before = guard_->counters(1)[verdict];
    guard_->run("trap_guard", frame);
    return guard_->counters(1)[verdict] - before == 1;
  }

  static Json syn(int port = 40000) { return {{"sport", port}, {"flags", "S"}, {"seq", "$isn"}}; }
  static Json ticket_syn(int port = 40000) {
    return {{"sport", port}, {"seq", "$isn"}, {"options", {{{"ticket", "$ticket.tagged"}}}}};
  }

  const TestConstants constants_;
  Object* guard_ = nullptr;
};

TEST_P(GuardNetworks, syns_by_announcement_take_nothing_from_tickets) {
  set_limits([](auto& client, auto& network) {
    client.syns = tokens(3, 1);
    network.syns = tokens(3, 1);
  });
  announce(0);
  for (int i = 0; i < 3; i++)
    EXPECT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn())));
  for (int i = 0; i < 1000; i++)
    ASSERT_TRUE(is(TRAP_DROP_CLIENT_SYNS, packet(0, syn())));
  for (int i = 0; i < 3; i++)
    EXPECT_TRUE(is(TRAP_PASS_TICKET, packet(0, ticket_syn())))
        << "spoofed SYNs of an announced client shut its tickets out";
  EXPECT_TRUE(is(TRAP_DROP_CLIENT_SYNS, packet(0, ticket_syn())));
}

TEST_P(GuardNetworks, syns_of_all_clients_are_no_more_than_the_budget) {
  set_limits([](auto& client, auto& network) {
    client.syns = tokens(2, 1);
    network.syns = tokens(5, 1);
  });
  int passed = 0, refused = 0;
  for (std::uint32_t number = 0; number < 200; number++) {
    announce(number);
    for (int i = 0; i < 2; i++) {
      passed += is(TRAP_PASS_ANNOUNCED, packet(number, syn()));
      refused = static_cast<int>(guard_->counters(1)[TRAP_DROP_NETWORK_SYNS]);
    }
  }
  EXPECT_EQ(passed, 5);
  EXPECT_EQ(refused, 395);
  EXPECT_TRUE(is(TRAP_PASS_TICKET, packet(0, ticket_syn())))
      << "spoofed SYNs of announced neighbours shut tickets out";
}

TEST_P(GuardNetworks, flows_of_all_clients_are_no_more_than_the_limit_until_some_end) {
  set_limits([](auto& client, auto& network) {
    client.flows = 2;
    network.flows = 3;
  });
  for (std::uint32_t number = 0; number < 4; number++)
    announce(number);
  EXPECT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn(40000))));
  EXPECT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn(40001))));
  EXPECT_TRUE(is(TRAP_DROP_CLIENT_FLOWS, packet(0, syn(40002))));
  EXPECT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(1, syn())));
  EXPECT_TRUE(is(TRAP_DROP_NETWORK_FLOWS, packet(2, syn())));
  EXPECT_TRUE(is(TRAP_PASS_FLOW, packet(0, {{"sport", 40001}, {"flags", "FA"}})));
  EXPECT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(2, syn()))) << "what was refused was counted";
  EXPECT_TRUE(is(TRAP_DROP_NETWORK_FLOWS, packet(3, syn())));
}

TEST_P(GuardNetworks, packets_of_all_clients_are_no_more_than_the_budget) {
  set_limits([](auto& client, auto& network) {
    client.packets = tokens(4, 2);
    network.packets = tokens(6, 1);
  });
  int passed = 0;
  for (std::uint32_t number = 0; number < 10; number++) {
    announce(number);
    ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(number, syn())));
    for (int i = 0; i < 6; i++)
      passed += is(TRAP_PASS_FLOW, packet(number, {{"flags", "A"}}));
  }
  EXPECT_EQ(passed, 6);
  EXPECT_GT(guard_->counters(1)[TRAP_DROP_NETWORK_PACKETS], 0u);
  EXPECT_GT(guard_->counters(1)[TRAP_DROP_CLIENT_PACKETS], 0u);
}

INSTANTIATE_TEST_SUITE_P(Families, GuardNetworks, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
