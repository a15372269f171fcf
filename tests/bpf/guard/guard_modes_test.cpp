// SPDX-License-Identifier: Apache-2.0
// Effects of the guard's settings: monitor mode, the instant at which enforcing ends by itself,
// keys that have run out, counts of flows that no daemon corrects, and the sender's clock in an
// announcement.
#include <gtest/gtest.h>

#include <bpf/bpf.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

class GuardModes : public testing::TestWithParam<int> {
protected:
  void SetUp() override { guard_ = &fresh_object(part_under_test(), constants_); }

  template <typename Change> void change_settings(const Change& change) {
    auto settings = guard_->get<trap_guard_settings>("settings", std::uint32_t{0});
    change(settings);
    guard_->put("settings", std::uint32_t{0}, settings);
  }

  Outcome send(const Json& tcp, const char* source = "client") {
    return guard_->run("trap_guard",
                       build_packet({{"ip", {{"src", source}, {"dst", "backend"}}}, {"tcp", tcp}},
                                    GetParam(), constants_));
  }

  std::uint64_t counted(trap_verdict verdict) const { return guard_->counters(1)[verdict]; }

  std::uint64_t monitored(trap_verdict verdict) {
    std::uint64_t sum = 0;
    const std::uint32_t index = TRAP_VERDICT_SLOTS + verdict;
    const Bytes values = guard_->entries("monitored").at(bytes_of(index));
    for (std::size_t at = 0; at < values.size(); at += sizeof(trap_count)) {
      trap_count one = {};
      std::memcpy(&one, &values[at], sizeof one);
      sum += one.packets;
    }
    return sum;
  }

  static Json syn_with(const char* ticket) {
    return {{"seq", "$isn"}, {"options", {{{"ticket", ticket}}}}};
  }

  const TestConstants constants_;
  Object* guard_ = nullptr;
};

const Json syn = {{"seq", "$isn"}, {"flags", "S"}};
const Json ack_segment = {{"flags", "A"}};
constexpr std::chrono::milliseconds one_name_each{10}, tick{4}; // of suspects; of the coarse clock

TEST_P(GuardModes, monitor_counts_and_names_who_would_be_dropped_and_drops_nothing) {
  change_settings([](trap_guard_settings& settings) { settings.enforced_until_ns = 0; });
  std::this_thread::sleep_for(one_name_each + tick); // since a test before may have named one
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(send(syn).action, XDP_PASS);
  EXPECT_EQ(send(ack_segment).action, XDP_PASS);
  const auto between = std::chrono::steady_clock::now() - began + tick;
  EXPECT_EQ(monitored(TRAP_DROP_UNINVITED), 1u);
  EXPECT_EQ(monitored(TRAP_DROP_NO_FLOW), 1u);
  EXPECT_EQ(counted(TRAP_DROP_UNINVITED), 0u) << "nothing was dropped";
  EXPECT_TRUE(guard_->entries("flows").empty()) << "nobody was admitted";
  const Entries suspects = guard_->entries("suspects");
  ASSERT_GE(suspects.size(), 1u);
  EXPECT_LE(suspects.size(), between < one_name_each ? 1u : 2u)
      << "the second came too soon to be named";
  trap_suspect suspect = {};
  std::memcpy(&suspect, suspects.begin()->second.data(), sizeof suspect);
  EXPECT_EQ(bytes_of(suspect.source), bytes_of(constants_.address("client", GetParam()).value));
  EXPECT_EQ(suspect.slot, 1u);
  EXPECT_EQ(suspect.verdict, static_cast<__u32>(TRAP_DROP_UNINVITED));
  EXPECT_EQ(send(syn_with("$ticket.valid")).action, XDP_PASS);
  EXPECT_EQ(counted(TRAP_PASS_TICKET), 1u) << "who is invited is counted as always";
}

// Ports come again: the entry of an earlier connection may have a right ticket's consent.
TEST_P(GuardModes, monitor_confirms_no_ticket_that_is_wrong) {
  const Bytes answer = build_packet(
      {{"ip", {{"src", "backend"}, {"dst", "client"}}},
       {"tcp", {{"sport", 80}, {"dport", 40000}, {"seq", 9}, {"ack", "$isn+1"}, {"flags", "SA"}}}},
      GetParam(), constants_);
  send(syn_with("$ticket.valid"));
  change_settings([](trap_guard_settings& settings) { settings.enforced_until_ns = 0; });
  EXPECT_EQ(guard_->run("trap_guard_egress", answer).frame.size(), answer.size() + 8);
  for (const char* ticket : {"$ticket.expired", "$ticket.other-client"}) {
    send(syn_with("$ticket.valid"));
    EXPECT_EQ(send(syn_with(ticket)).action, static_cast<std::uint32_t>(XDP_PASS));
    EXPECT_EQ(guard_->run("trap_guard_egress", answer).frame, answer) << ticket;
  }
  EXPECT_EQ(counted(TRAP_PASS_CONSENT), 1u);
  EXPECT_EQ(counted(TRAP_PASS_ANSWER), 2u);
}

TEST_P(GuardModes, enforcing_ends_by_itself) {
  change_settings([](trap_guard_settings& settings) {
    settings.enforced_until_ns = coarse_ns() + 3'600'000'000'000;
  });
  EXPECT_EQ(send(syn).action, XDP_DROP);
  change_settings(
      [](trap_guard_settings& settings) { settings.enforced_until_ns = coarse_ns() - 1; });
  EXPECT_EQ(send(syn).action, XDP_PASS);
}

TEST_P(GuardModes, keys_that_have_run_out_shut_the_port_or_leave_it_to_connections) {
  const Json flow = {
      {"client", "client"}, {"service", "backend"}, {"client_port", 40000}, {"service_port", 80}};
  const DescribedEntry entry = describe_entry("flows", flow, GetParam(), constants_, 0);
  guard_->put("flows", entry.key, entry.value);
  const auto run_out = [](trap_guard_settings& settings) {
    settings.keys_until_ns = coarse_ns() - 1;
    settings.ticket_keys = {};
    settings.announce_keys = {};
  };
  change_settings(run_out);
  EXPECT_EQ(send(ack_segment).action, XDP_PASS) << "established-only";
  EXPECT_EQ(send(syn_with("$ticket.valid")).action, XDP_DROP);
  EXPECT_EQ(counted(TRAP_DROP_NO_KEY), 1u);
  change_settings([](trap_guard_settings& settings) { settings.flags |= TRAP_GUARD_STALE_DROPS; });
  EXPECT_EQ(send(ack_segment).action, XDP_DROP) << "drop";
  EXPECT_EQ(send(syn, "trap-server").action, XDP_DROP);
  EXPECT_EQ(counted(TRAP_DROP_NO_KEY), 3u);
  change_settings(
      [](trap_guard_settings& settings) { settings.keys_until_ns = TRAP_GUARD_ALWAYS; });
  EXPECT_EQ(send(ack_segment).action, XDP_PASS);
}

TEST_P(GuardModes, counts_of_flows_that_nobody_corrects_lock_nobody_out) {
  const Json client = {{"prefix", "client-scope"}, {"slot", 1}, {"flows", 2}, {"tag", 7}};
  const DescribedEntry entry = describe_entry("client_budgets", client, GetParam(), constants_, 0);
  guard_->put("client_budgets", entry.key, entry.value);
  EXPECT_EQ(send(syn_with("$ticket.tagged")).action, XDP_DROP);
  EXPECT_EQ(counted(TRAP_DROP_CLIENT_FLOWS), 1u);
  change_settings(
      [](trap_guard_settings& settings) { settings.flow_counts_until_ns = coarse_ns() - 1; });
  EXPECT_EQ(send(syn_with("$ticket.tagged")).action, XDP_PASS);
}

TEST_P(GuardModes, announcements_show_when_a_trap_server_was_heard_and_what_its_clock_says) {
  const union trap_address server = constants_.address("trap-server", GetParam()).value;
  const Json announcement = {{"sport", 80},
                             {"flags", "R"},
                             {"window", 0},
                             {"options", {{{"announce", "$announce.ahead"}}}}};
  send({{"sport", 80},
        {"flags", "R"},
        {"window", 0},
        {"options", {{{"announce", "$announce.forged"}}}}},
       "trap-server");
  EXPECT_EQ(guard_->get<trap_guard_peer>("trap_servers", server).heard_s, 0u)
      << "whoever forges is not heard";
  send(announcement, "trap-server");
  const auto peer = guard_->get<trap_guard_peer>("trap_servers", server);
  EXPECT_EQ(peer.announcements, 1u);
  EXPECT_EQ(peer.skew_s, 58);
  EXPECT_EQ(peer.heard_s, constants_.moment("now")["unix_s"].get<std::uint32_t>());
}

TEST_P(GuardModes, announcements_of_another_scope_are_noted_until_one_of_the_right_scope_comes) {
  const union trap_address server = constants_.address("trap-server", GetParam()).value;
  const auto announced = [&](const char* what) {
    send({{"sport", 80}, {"flags", "R"}, {"window", 0}, {"options", {{{"announce", what}}}}},
         "trap-server");
    return guard_->get<trap_guard_peer>("trap_servers", server);
  };
  EXPECT_EQ(announced("$announce.forged").other_scope_s, 0u);
  const trap_guard_peer noted = announced("$announce.wide");
  EXPECT_EQ(noted.other_scope_s, constants_.moment("now")["unix_s"].get<std::uint32_t>());
  EXPECT_EQ(noted.other_scope, constants_.number("$wide", GetParam()));
  EXPECT_EQ(noted.other_scope_port, TRAP_BE16(80));
  EXPECT_EQ(noted.announcements, 0u) << "it was not accepted";
  EXPECT_EQ(announced("$announce.valid").other_scope_s, 0u);
}

TEST_P(GuardModes, new_clients_of_a_network_are_capped_and_known_ones_are_not_new) {
  change_settings([](trap_guard_settings& settings) {
    settings.announced = {
        .token_ns = 1'000'000'000'000, .burst_ns = 1'000'000'000'000, .chunk = 1, .reserved = 0};
  });
  const auto announce = [this](const char* what) {
    send({{"sport", 80}, {"flags", "R"}, {"window", 0}, {"options", {{{"announce", what}}}}},
         "trap-server");
  };
  announce("$announce.valid");
  announce("$announce.long");
  EXPECT_EQ(counted(TRAP_ANNOUNCE_ACCEPTED), 2u) << "the second renews the first";
  guard_->clear("announced");
  announce("$announce.valid");
  EXPECT_EQ(counted(TRAP_DROP_ANNOUNCE_CAP), 1u);
  EXPECT_TRUE(guard_->entries("announced").empty());
}

INSTANTIATE_TEST_SUITE_P(Families, GuardModes, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
