// SPDX-License-Identifier: Apache-2.0
// Budgets that clients share with others: of a network with all its clients, and of SYNs by
// announcement, whose sources can be spoofed, apart from those with tickets.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>

#include "dataplane/verdict.h"
#include "guard/maps.h"
#include "guard/tables.h"
#include "runtime/keys/clock_writer.h"
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

  // An announced client's flow, from its SYN to the ACK.
  void open(std::uint32_t number, int port) {
    EXPECT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(number, syn(port)))) << port;
    EXPECT_TRUE(is(TRAP_PASS_FLOW, packet(number, {{"sport", port}, {"flags", "A"}}))) << port;
  }

  // The service answers the client's SYN.
  void see_syn_ack(int port) const {
    const Json answer = {
        {"ip", {{"src", "backend"}, {"dst", "client"}}},
        {"tcp",
         {{"sport", 80}, {"dport", port}, {"seq", 7}, {"ack", client_isn + 1}, {"flags", "SA"}}}};
    guard_->run("trap_guard_egress", build_packet(answer, GetParam(), constants_));
  }

  static constexpr std::uint32_t client_isn = 1000;
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
  open(0, 40000);
  open(0, 40001);
  EXPECT_TRUE(is(TRAP_DROP_CLIENT_FLOWS, packet(0, syn(40002))));
  open(1, 40000);
  EXPECT_TRUE(is(TRAP_DROP_NETWORK_FLOWS, packet(2, syn())));
  EXPECT_TRUE(is(TRAP_PASS_FLOW, packet(0, {{"sport", 40001}, {"flags", "FA"}})));
  open(2, 40000);
  EXPECT_TRUE(is(TRAP_DROP_NETWORK_FLOWS, packet(3, syn())));
}

TEST_P(GuardNetworks, flows_that_open_at_once_are_no_more_than_the_limit) {
  set_limits([](auto& client, auto& network) {
    client.flows = 2;
    network.flows = 3;
  });
  for (std::uint32_t number = 0; number < 2; number++) {
    announce(number);
    for (int port = 40000; port < 40010; port++)
      EXPECT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(number, syn(port)))) << "none is open yet";
  }
  int opened = 0;
  for (std::uint32_t number = 0; number < 2; number++)
    for (int port = 40000; port < 40010; port++)
      opened += is(TRAP_PASS_FLOW, packet(number, {{"sport", port}, {"flags", "A"}}));
  EXPECT_EQ(opened, 3);
  EXPECT_EQ(guard_->counters(1)[TRAP_DROP_CLIENT_FLOWS], 8u);
  EXPECT_EQ(guard_->counters(1)[TRAP_DROP_NETWORK_FLOWS], 9u);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, packet(0, {{"sport", 40000}, {"flags", "FA"}})));
  EXPECT_TRUE(is(TRAP_PASS_FLOW, packet(0, {{"sport", 40009}, {"flags", "A"}})))
      << "a flow that was refused could not open when there was room";
}

TEST_P(GuardNetworks, half_open_flows_shut_no_ticket_out) {
  set_limits([](auto& client, auto& network) {
    client.flows = 200;
    network.flows = 200;
  });
  announce(0);
  ASSERT_TRUE(is(TRAP_PASS_TICKET, packet(0, ticket_syn(39999))));
  see_syn_ack(39999);
  for (int port = 40000; port < 40200; port++)
    ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn(port))));
  for (int port = 50000; port < 50200; port++) {
    ASSERT_TRUE(is(TRAP_PASS_TICKET, packet(0, ticket_syn(port)))) << port;
    ASSERT_TRUE(is(TRAP_PASS_FLOW, packet(0, {{"sport", port}, {"flags", "A"}}))) << port;
  }
  EXPECT_TRUE(is(TRAP_DROP_CLIENT_FLOWS, packet(0, ticket_syn(50200))))
      << "flows that are open count";
  EXPECT_TRUE(is(TRAP_DROP_HALF_OPEN, packet(0, {{"sport", 39999}, {"flags", "A"}, {"ack", 1}})))
      << "SYNs by announcement pushed out one with a ticket";
}

// One client's flood of admitted SYNs takes a bounded part of the places, and so does a network's.
TEST_P(GuardNetworks, half_open_flows_are_bounded_by_client_and_network) {
  guard_ = &fresh_object(part_under_test(), constants_, false, false);
  set_limits([](auto&, auto&) {});
  announce(0);
  for (int port = 1024; port < 2424; port++)
    ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn(port))));
  constexpr std::size_t of_client = TRAP_HALF_OPEN_BUCKETS_OF_CLIENT * TRAP_FLOW_WAYS;
  EXPECT_EQ(guard_->entries("flows").size(), of_client);
  for (std::uint32_t number = 1; number < 24; number++) {
    announce(number);
    for (int port = 1024; port < 1174; port++)
      ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(number, syn(port))));
  }
  constexpr std::size_t of_network = TRAP_HALF_OPEN_BUCKETS_OF_NETWORK * TRAP_FLOW_WAYS;
  EXPECT_LE(guard_->entries("flows").size(), of_network);
  EXPECT_GT(guard_->entries("flows").size(), of_client);
}

// A segment looks for its half-open flow only if the mark of its hash is young. SYN and SYN-ACK,
// from each of which 75 s run, have to set it.
TEST_P(GuardNetworks, syn_and_syn_ack_mark_a_half_open_flow) {
  const auto age_marks = [&] {
    auto marks = std::make_unique<trap_half_open_marks>();
    const auto now = trap_half_open_mark(read_clocks().monotonic_ns);
    std::ranges::fill(marks->seen, static_cast<std::uint16_t>(now - 100));
    guard_->put("half_open_marks", std::uint32_t{0}, *marks);
  };
  const Json stray = {{"flags", "A"}, {"ack", 1}};
  announce(0);
  age_marks();
  ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn())));
  ASSERT_TRUE(is(TRAP_PASS_FLOW, packet(0, {{"flags", "R"}, {"seq", client_isn + 1}})))
      << "the SYN left no mark";
  age_marks();
  ASSERT_TRUE(is(TRAP_DROP_NO_FLOW, packet(0, stray)));
  ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn())));
  age_marks();
  see_syn_ack(40000);
  EXPECT_TRUE(is(TRAP_DROP_HALF_OPEN, packet(0, stray))) << "the SYN-ACK left no mark";
}

// A spoofed SYN and ACKs behind it cost the client's open connection nothing.
TEST_P(GuardNetworks, segments_of_a_half_open_flow_slow_no_open_one_down) {
  set_limits([](auto& client, auto& network) {
    client.packets = tokens(100, 4);
    network.packets = tokens(100, 4);
  });
  announce(0);
  open(0, 40000);
  ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn(40001))));
  see_syn_ack(40001);
  for (std::uint32_t i = 0; i < 3400; i++)
    ASSERT_TRUE(
        is(TRAP_DROP_HALF_OPEN, packet(0, {{"sport", 40001}, {"flags", "A"}, {"ack", 1000 * i}})));
  for (int i = 0; i < 99; i++)
    ASSERT_TRUE(is(TRAP_PASS_FLOW, packet(0, {{"sport", 40000}, {"flags", "A"}}))) << i;
}

// A RST ends a half-open flow only with the number that our SYN-ACK acknowledged.
TEST_P(GuardNetworks, a_spoofed_rst_ends_no_half_open_flow) {
  announce(0);
  ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, packet(0, syn())));
  see_syn_ack(40000);
  for (const std::uint32_t seq : {0u, 1u, client_isn, client_isn + 2, 0xffffffffu})
    EXPECT_TRUE(is(TRAP_DROP_HALF_OPEN, packet(0, {{"flags", "R"}, {"seq", seq}}))) << seq;
  EXPECT_EQ(guard_->entries("flows").size(), 1u);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, packet(0, {{"flags", "R"}, {"seq", client_isn + 1}})));
  EXPECT_TRUE(guard_->entries("flows").empty());
}

TEST_P(GuardNetworks, packets_of_all_clients_are_no_more_than_the_budget) {
  set_limits([](auto& client, auto& network) {
    client.packets = tokens(4, 2);
    network.packets = tokens(6, 1);
  });
  int passed = 0;
  for (std::uint32_t number = 0; number < 10; number++) {
    announce(number);
    open(number, 40000);
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
