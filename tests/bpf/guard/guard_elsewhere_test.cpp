// SPDX-License-Identifier: Apache-2.0
// A guard on a router: flows of a service whose sockets are elsewhere are half-open, open and
// closing by what both sides send, and by the numbers that the service shows.
#include <gtest/gtest.h>

#include <cstring>

#include "dataplane/verdict.h"
#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::uint32_t client_isn = 1000, service_isn = 5000, slot = 3;
constexpr int service_port = 83, first_port = 40000;
constexpr std::uint8_t tag = 7;

class GuardElsewhere : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    guard_ = &fresh_object(part_under_test(), constants_);
    trap_guard_class limits = {};
    limits.flows = 20;
    guard_->put("classes", std::uint32_t{tag}, limits);
    const std::uint64_t now = constants_.moment("now")["unix_s"];
    const Json entry = {{"client", "client-scope"},
                        {"port", service_port},
                        {"scope", "$scope"},
                        {"in_s", 600},
                        {"tag", tag}};
    const DescribedEntry described =
        describe_entry("announced", entry, GetParam(), constants_, now);
    guard_->put("announced", described.key, described.value);
  }

  bool is(trap_verdict verdict, const std::string& flags, std::uint32_t seq = client_isn + 1,
          std::uint32_t ack = service_isn + 1, int port = first_port) const {
    const std::uint64_t before = guard_->counters(slot)[verdict];
    const Json packet = {
        {"ip", {{"dst", "backend"}}},
        {"tcp",
         {{"sport", port}, {"dport", service_port}, {"flags", flags}, {"seq", seq}, {"ack", ack}}}};
    guard_->run("trap_guard", build_packet(packet, GetParam(), constants_));
    return guard_->counters(slot)[verdict] - before == 1;
  }

  void leaves(const std::string& flags, std::uint32_t ack = client_isn + 1, int payload = 0,
              int port = first_port) const {
    const Json packet = {{"ip", {{"src", "backend"}, {"dst", "client"}}},
                         {"tcp",
                          {{"sport", service_port},
                           {"dport", port},
                           {"flags", flags},
                           {"seq", service_isn + (flags == "SA" ? 0 : 1)},
                           {"ack", ack}}},
                         {"payload", payload}};
    const Bytes frame = build_packet(packet, GetParam(), constants_);
    EXPECT_EQ(guard_->run("trap_guard_egress", frame).frame, frame);
  }

  void connect(int port = first_port) const {
    ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, "S", client_isn, 0, port)) << port;
    leaves("SA", client_isn + 1, 0, port);
    ASSERT_TRUE(is(TRAP_PASS_FLOW, "A", client_isn + 1, service_isn + 1, port)) << port;
  }

  // Open flows of the client, as they are counted.
  std::uint32_t open() const {
    trap_guard_client found = {};
    const Entries clients = guard_->entries("client_budgets");
    if (!clients.empty())
      std::memcpy(&found, clients.begin()->second.data(), sizeof found);
    return found.flows;
  }

  std::uint8_t flags() const {
    trap_guard_flow found = {};
    const Entries flows = guard_->entries("flows");
    EXPECT_EQ(flows.size(), 1u);
    std::memcpy(&found, flows.begin()->second.data(), sizeof found);
    return found.flags;
  }

  // As if the flow had been silent so long.
  void wait_s(std::uint64_t seconds) const {
    const Entries flows = guard_->entries("flows");
    ASSERT_EQ(flows.size(), 1u);
    trap_guard_flow found = {};
    std::memcpy(&found, flows.begin()->second.data(), sizeof found);
    found.seen_ns -= seconds * 1'000'000'000;
    guard_->put("flows", flows.begin()->first, bytes_of(found));
  }

  const TestConstants constants_;
  Object* guard_ = nullptr;
};

TEST_P(GuardElsewhere, a_rst_with_a_wrong_number_ends_no_count) {
  for (int i = 0; i < 200; i++) {
    const int port = first_port + i;
    const bool passes = is(TRAP_PASS_ANNOUNCED, "S", client_isn, 0, port);
    ASSERT_EQ(passes, i < 20) << i;
    if (!passes)
      continue;
    leaves("SA", client_isn + 1, 0, port);
    ASSERT_TRUE(is(TRAP_PASS_FLOW, "A", client_isn + 1, service_isn + 1, port));
    for (const std::uint32_t seq : {client_isn, client_isn + 2, client_isn + 0x80000000})
      ASSERT_TRUE(is(TRAP_PASS_FLOW, "R", seq, 0, port));
  }
  EXPECT_EQ(open(), 20u);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R"));
  EXPECT_EQ(open(), 19u) << "one with the right number does";
}

TEST_P(GuardElsewhere, the_number_is_the_one_that_the_service_acknowledged_last) {
  connect();
  leaves("A", client_isn + 501);
  leaves("A", client_isn + 301); // overtaken
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R"));
  EXPECT_EQ(open(), 1u);
  EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R", client_isn + 501));
  EXPECT_EQ(open(), 0u);
}

TEST_P(GuardElsewhere, a_rst_ahead_of_the_service_closes_until_the_service_shows_life) {
  connect();
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R", client_isn + 2));
  EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING);
  leaves("PA", client_isn + 1, 100); // may have been on its way
  EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING);
  leaves("A"); // RFC 5961, 3.2: a challenge
  EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R", client_isn + 2));
  wait_s(2);
  leaves("PA", client_isn + 1, 100);
  EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED);
  EXPECT_EQ(open(), 1u);
}

TEST_P(GuardElsewhere, a_flow_that_ended_counts_again_when_the_service_goes_on) {
  connect();
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R"));
  EXPECT_EQ(open(), 0u);
  leaves("PA", client_isn + 1, 100);
  EXPECT_EQ(open(), 0u) << "that was on its way";
  wait_s(2);
  leaves("PA", client_isn + 1, 100);
  EXPECT_EQ(open(), 1u);
}

TEST_P(GuardElsewhere, both_fins_end_a_flow_in_either_order) {
  connect();
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "FA"));
  EXPECT_EQ(open(), 1u);
  leaves("A", client_isn + 2);
  EXPECT_EQ(open(), 1u) << "the service has more to say";
  leaves("FA", client_isn + 2);
  EXPECT_EQ(open(), 0u);
  SetUp();
  connect();
  leaves("FA");
  EXPECT_EQ(open(), 1u);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "A", client_isn + 1, service_isn + 2));
  EXPECT_EQ(open(), 1u) << "the client has more to say";
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "FA", client_isn + 1, service_isn + 2));
  EXPECT_EQ(open(), 0u);
}

TEST_P(GuardElsewhere, a_rst_of_the_service_ends_a_flow) {
  connect();
  leaves("RA");
  EXPECT_EQ(open(), 0u);
}

TEST_P(GuardElsewhere, what_the_client_sends_prolongs_no_closing_flow_and_the_service_does) {
  connect();
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "FA"));
  wait_s(59);
  leaves("PA", client_isn + 2, 100);
  wait_s(59);
  for (int i = 0; i < 3; i++)
    EXPECT_TRUE(is(TRAP_PASS_FLOW, "A", client_isn + 2));
  wait_s(2);
  EXPECT_TRUE(is(TRAP_DROP_NO_FLOW, "A", client_isn + 2));
}

INSTANTIATE_TEST_SUITE_P(Families, GuardElsewhere, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
