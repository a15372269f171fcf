// SPDX-License-Identifier: Apache-2.0
// Full tables of the guard, at their real size and filled by the program itself where a packet can
// fill them: who comes next still gets in, who was pushed out comes back by his socket, and nobody
// else does.
#include <gtest/gtest.h>

#include <cstring>

#include "bench/bpf/replay.h"
#include "dataplane/verdict.h"
#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/loopback.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"
#include "trap_replay.skel.h"

namespace trap::test {
namespace {

constexpr int chunk = 10'000;
constexpr int admitted_connections = 2 * TRAP_GUARD_FLOWS;
constexpr int old_port = 40000, new_port = 40001, silent_port = 40002;
constexpr std::size_t half_open_flows = TRAP_HALF_OPEN_BUCKETS * TRAP_FLOW_WAYS;

class GuardLimits : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    bring_loopback_up();
    replay_ = object_of(Program<::trap_replay>::load());
    guard_ = &fresh_object(part_under_test(), constants_, false, false);
  }

  // Does one packet to port 80 count under `verdict`?
  bool is(trap_verdict verdict, const Json& packet) {
    const std::uint64_t before = guard_->counters(1)[verdict];
    guard_->run("trap_guard", build_packet(packet, GetParam(), constants_));
    return guard_->counters(1)[verdict] - before == 1;
  }

  static Json from_here(int port, const std::string& flags) {
    return {{"ip", {{"src", "here"}, {"dst", "here"}}},
            {"tcp", {{"sport", port}, {"flags", flags}}}};
  }

  static Json from_client(int port, const std::string& flags, const Json& options = Json::array()) {
    return {{"ip", {{"dst", "backend"}}},
            {"tcp", {{"sport", port}, {"flags", flags}, {"seq", "$isn"}, {"options", options}}}};
  }

  // Segments from ever new addresses of a world in which everybody is trusted.
  void admit(int connections, const std::string& flags) {
    guard_->put("trusted", trap_trusted_key{}, std::uint8_t{1});
    replay(0, connections, flags, TRAP_PASS_TRUSTED);
    trap_trusted_key everybody = {};
    ASSERT_EQ(bpf_map_delete_elem(guard_->map_fd("trusted"), &everybody), 0);
  }

  // SYNs and ACKs of the same, so few at a time that each flow opens.
  void open_flows(int connections) {
    guard_->put("trusted", trap_trusted_key{}, std::uint8_t{1});
    for (int sent = 0; sent < connections; sent += chunk) {
      replay(sent, chunk, "S", TRAP_PASS_TRUSTED);
      replay(sent, chunk, "A", TRAP_VERDICT_COUNT);
    }
    trap_trusted_key everybody = {};
    ASSERT_EQ(bpf_map_delete_elem(guard_->map_fd("trusted"), &everybody), 0);
  }

  void replay(int first, int segments, const std::string& flags, trap_verdict verdict) {
    const int family = GetParam();
    const Json ip = {{"src", family == 4 ? "0.0.0.0" : "::"}, {"dst", "backend"}};
    const Bytes frame =
        build_packet({{"ip", ip}, {"tcp", {{"flags", flags}, {"sport", 0}}}}, family, constants_);
    trap_replay_order order = {};
    ASSERT_LE(frame.size(), sizeof order.words);
    std::memcpy(order.words, frame.data(), frame.size());
    order.bytes = static_cast<__u32>(frame.size());
    order.vary = TRAP_REPLAY_SOURCES;
    order.l3_offset = 14;
    order.l4_offset = family == 4 ? 34 : 54;
    order.family = static_cast<__u32>(family);
    replay_->put("xdp_target", std::uint32_t{0},
                 static_cast<std::uint32_t>(guard_->program_fd("trap_guard")));
    const auto counted = [&] { // an eighth of all IPv4 addresses are of no host
      const auto counters = guard_->counters(1);
      return verdict == TRAP_VERDICT_COUNT ? 0
                                           : counters[verdict] + counters[TRAP_DROP_MARTIAN_SOURCE];
    };
    const std::uint64_t before = counted();
    for (int sent = 0; sent < segments; sent += chunk) {
      order.number = static_cast<__u64>(first + sent);
      replay_->put("replays", std::uint32_t{0}, order);
      replay_->run("replay_xdp", frame, chunk);
    }
    if (verdict != TRAP_VERDICT_COUNT)
      ASSERT_GE(counted() - before, static_cast<std::uint64_t>(segments));
  }

  const TestConstants constants_;
  std::unique_ptr<Object> replay_;
  Object* guard_ = nullptr;
};

TEST_P(GuardLimits, more_flows_than_there_is_room_for) {
  const Json ticket = Json::array({{{"ticket", "$ticket.valid"}}});
  const Socket listener = listen_on(GetParam(), 80);
  const Socket client = connect_from(GetParam(), old_port, 80);
  const Socket accepted = accept_from(listener);
  ASSERT_TRUE(is(TRAP_PASS_SOCKET, from_here(old_port, "A")));
  ASSERT_TRUE(is(TRAP_PASS_TICKET, from_client(silent_port, "S", ticket)));
  ASSERT_TRUE(is(TRAP_PASS_FLOW, from_client(silent_port, "A")));

  admit(admitted_connections, "S");
  EXPECT_TRUE(is(TRAP_PASS_TICKET, from_client(new_port, "S", ticket)))
      << "a new client is not let in";
  EXPECT_TRUE(is(TRAP_PASS_FLOW, from_client(new_port, "A")))
      << "a new client's flow found no room";
  EXPECT_TRUE(is(TRAP_PASS_FLOW, from_here(old_port, "A"))) << "SYNs pushed a connection out";
  EXPECT_TRUE(is(TRAP_PASS_FLOW, from_client(silent_port, "A")))
      << "SYNs pushed a flow without a socket out";
  EXPECT_TRUE(is(TRAP_DROP_UNINVITED, from_client(new_port + 5, "S")))
      << "a full table opens the port";
}

// Connections that their clients complete: the longest silent makes room, and comes back by its
// socket if it has one.
TEST_P(GuardLimits, more_open_flows_than_there_is_room_for) {
  const Json ticket = Json::array({{{"ticket", "$ticket.valid"}}});
  const Socket listener = listen_on(GetParam(), 80);
  const Socket client = connect_from(GetParam(), old_port, 80);
  const Socket accepted = accept_from(listener);
  ASSERT_TRUE(is(TRAP_PASS_SOCKET, from_here(old_port, "A")));
  ASSERT_TRUE(is(TRAP_PASS_TICKET, from_client(silent_port, "S", ticket)));
  ASSERT_TRUE(is(TRAP_PASS_FLOW, from_client(silent_port, "A")));

  open_flows(admitted_connections);
  const std::size_t flows = guard_->entries("flows").size();
  EXPECT_LE(flows, static_cast<std::size_t>(TRAP_GUARD_FLOWS) + half_open_flows);
  EXPECT_GE(flows, static_cast<std::size_t>(TRAP_GUARD_FLOWS) / 2) << "the table was never full";

  EXPECT_TRUE(is(TRAP_PASS_TICKET, from_client(new_port, "S", ticket)));
  EXPECT_TRUE(is(TRAP_PASS_FLOW, from_client(new_port, "A")));
  EXPECT_TRUE(is(TRAP_PASS_FLOW, from_client(new_port, "PA"))) << "it found no room";
  EXPECT_TRUE(is(TRAP_PASS_SOCKET, from_here(old_port, "A")))
      << "an old connection did not come back by its socket";
  EXPECT_TRUE(is(TRAP_PASS_FLOW, from_here(old_port, "A")))
      << "and its flow was not remembered anew";
  EXPECT_TRUE(is(TRAP_DROP_NO_FLOW, from_client(silent_port, "A")))
      << "a flow that was pushed out and has no socket passes";
}

TEST_P(GuardLimits, more_announced_clients_than_there_is_room_for) {
  const std::uint64_t now = constants_.moment("now")["unix_s"];
  const Json entry = {{"client", "client-scope"}, {"port", 80}, {"scope", "$scope"}, {"in_s", 600}};
  DescribedEntry described = describe_entry("announced", entry, GetParam(), constants_, now);
  for (std::uint32_t i = 0; i < 2 * TRAP_ANNOUNCED_BUCKETS * TRAP_ANNOUNCED_WAYS;
       i++) { // somebody else each time, of a port that nobody asks for
    auto* key = reinterpret_cast<trap_announced_key*>(described.key.data());
    key->client.raw64[0] = 0x0120;
    key->client.be32[3] = i;
    guard_->put("announced", described.key, described.value);
  }
  const Json options = Json::array({{{"announce", "$announce.valid"}}});
  EXPECT_TRUE(is(TRAP_DROP_UNINVITED, from_client(new_port, "S")));
  EXPECT_TRUE(is(TRAP_ANNOUNCE_ACCEPTED, {{"ip", {{"src", "trap-server"}, {"dst", "backend"}}},
                                          {"tcp", {{"flags", "R"}, {"options", options}}}}))
      << "an announcement found no room";
  EXPECT_TRUE(is(TRAP_PASS_ANNOUNCED, from_client(new_port, "S")));
}

INSTANTIATE_TEST_SUITE_P(Families, GuardLimits, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
