// SPDX-License-Identifier: Apache-2.0
// A blind attacker that knows a connection's addresses and ports achieves nothing: many resets
// and SYN-ACKs of each kind, with guessed numbers, reach the application's socket as they are, and
// leave every map as it was.
#include <gtest/gtest.h>

#include <cstring>

#include "bench/bpf/replay.h"
#include "client/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/effort.h"
#include "tests/support/packet.h"
#include "trap_replay.skel.h"

namespace trap::test {
namespace {

constexpr int chunk = 10'000;
const int guesses = is_thorough() ? 1'000'000 : 200'000;

// A connect to the public address, as far as it got; and one that was redirected to the backend.
class ClientForgery : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    replay_ = object_of(Program<::trap_replay>::load());
    client_ = &fresh_object(part_under_test(), constants_);
    replay_->put("tc_target", std::uint32_t{0},
                 static_cast<std::uint32_t>(client_->program_fd("trap_client_ingress")));
  }

  void put(const std::string& map, const Json& entry, int family) {
    const DescribedEntry described = describe_entry(map, entry, family, constants_, 0);
    client_->put(map, described.key, described.value);
  }

  void begin_connects(int family, int state) {
    put("pending",
        {{"local", "client"},
         {"remote", "public"},
         {"local_port", 40000},
         {"remote_port", 80},
         {"isn", "$isn"},
         {"iss", 77},
         {"state", state}},
        family);
    put("pending",
        {{"local", "client"},
         {"remote", "public"},
         {"local_port", 40001},
         {"remote_port", 80},
         {"isn", "$isn"},
         {"state", 3}},
        family);
    put("to_backend",
        {{"local", "client"},
         {"remote", "public"},
         {"local_port", 40001},
         {"remote_port", 80},
         {"backend", "backend"},
         {"backend_port", 80},
         {"syns", 1},
         {"isn", "$isn"}},
        family);
    put("to_public",
        {{"local", "client"},
         {"remote", "backend"},
         {"local_port", 40001},
         {"remote_port", 80},
         {"service", "public"},
         {"port", 80}},
        family);
    put("redirects",
        {{"local", "client"},
         {"service", "public"},
         {"port", 80},
         {"backend", "backend"},
         {"backend_port", 80},
         {"in_s", 600}},
        family);
  }

  std::map<std::string, Entries> contents() {
    std::map<std::string, Entries> all;
    for (const std::string& name : client_->map_names())
      if (client_->is_hash(name))
        all[name] = client_->entries(name);
    return all;
  }

  void guess(const Json& packet, int family) {
    const Bytes bytes = build_packet(packet, family, constants_);
    trap_replay_order order = {};
    ASSERT_LE(bytes.size(), sizeof order.words);
    std::memcpy(order.words, bytes.data(), bytes.size());
    order.bytes = static_cast<__u32>(bytes.size());
    order.vary = TRAP_REPLAY_NUMBERS;
    order.l3_offset = 14;
    order.l4_offset = family == 4 ? 34 : 54;
    order.family = static_cast<__u32>(family);
    for (int sent = 0; sent < guesses; sent += chunk) {
      order.number = sent_;
      replay_->put("replays", std::uint32_t{0}, order);
      replay_->run("replay_tc", bytes, chunk);
      sent_ += chunk;
    }
  }

  static Json forged(const char* from, int to_port, const char* flags, const Json& options) {
    return {{"ip", {{"src", from}, {"dst", "client"}}},
            {"tcp",
             {{"sport", 80},
              {"dport", to_port},
              {"seq", 0},
              {"ack", 0},
              {"flags", flags},
              {"window", 0},
              {"options", options}}}};
  }

  const TestConstants constants_;
  std::unique_ptr<Object> replay_;
  Object* client_ = nullptr;
  std::uint64_t sent_ = 0;
};

TEST_P(ClientForgery, changes_nothing) {
  const Json redirect = Json::array({{{"redirect", Json{{"address", "stranger"}}}}}),
             offer = Json::array({{{"offer", 0}}}), none = Json::array();
  for (const int family : {4, 6}) {
    begin_connects(family, GetParam());
    const auto before = contents();
    const auto counted = client_->counters(0);
    guess(forged("public", 40000, "RA", redirect), family);
    guess(forged("public", 40000, "RA", none), family);
    guess(forged("public", 40000, "SA", offer), family);
    guess(forged("public", 40000, "SA", none), family);
    guess(forged("backend", 40001, "RA", none), family);
    guess(forged("backend", 40001, "SA", none), family);
    EXPECT_EQ(contents(), before);
    const auto now = client_->counters(0);
    const auto moved = [&](trap_verdict verdict) { return now[verdict] - counted[verdict]; };
    EXPECT_EQ(moved(TRAP_PASS_REDIRECT_UNEXPECTED), 1u * guesses);
    EXPECT_EQ(moved(TRAP_PASS_OTHER), 3u * guesses);
    EXPECT_EQ(moved(TRAP_PASS_FROM_SERVICE), 2u * guesses)
        << "the service's, as far as the client can tell: the socket judges";
  }
}

INSTANTIATE_TEST_SUITE_P(States, ClientForgery, testing::Values(0, 1, 2, 3),
                         [](const auto& state) { return "state_" + std::to_string(state.param); });

} // namespace
} // namespace trap::test
