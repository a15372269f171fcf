// SPDX-License-Identifier: Apache-2.0
// Packets that cross an interface of the host without being the host's: forwarded ones, and SYNs of
// the daemon. Fixtures cannot say where a packet came in.
#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "client/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

class Hook : public testing::TestWithParam<int> {
protected:
  void SetUp() override { client_ = &fresh_object(part_under_test(), constants_); }

  // The verdict that a SYN of this origin counts.
  trap_verdict verdict_of(const std::string& program, std::uint32_t ingress_ifindex,
                          std::uint32_t priority) {
    const Bytes frame = build_packet(Json::parse(R"({"tcp": {"seq": 7}})"), GetParam(), constants_);
    __sk_buff context = {};
    context.ingress_ifindex = ingress_ifindex;
    context.priority = priority;
    context.mark = mark_;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<__u32>(frame.size());
    options.ctx_in = &context;
    options.ctx_size_in = sizeof(context);
    const auto before = client_->counters(0);
    EXPECT_EQ(bpf_prog_test_run_opts(client_->program_fd(program), &options), 0);
    EXPECT_EQ(options.retval, static_cast<__u32>(TC_ACT_UNSPEC));
    const auto after = client_->counters(0);
    for (std::size_t verdict = 0; verdict < after.size(); verdict++)
      if (after[verdict] != before[verdict])
        return static_cast<trap_verdict>(verdict);
    return TRAP_VERDICT_COUNT;
  }

  std::size_t remembered() { return client_->entries("pending").size(); }

  const TestConstants constants_;
  Object* client_ = nullptr;
  std::uint32_t mark_ = 0;
};

TEST_P(Hook, the_hosts_own_syns_are_remembered_and_forwarded_ones_pass) {
  EXPECT_EQ(verdict_of("trap_client_egress", 1, 0), TRAP_PASS_OTHER);
  EXPECT_EQ(remembered(), 0u);
  EXPECT_EQ(verdict_of("trap_client_egress", 0, 0), TRAP_PASS_SYN_REMEMBERED);
  EXPECT_EQ(remembered(), 1u);
}

TEST_P(Hook, syns_of_a_lan_are_remembered_where_they_come_in) {
  EXPECT_EQ(verdict_of("trap_client_ingress_lan", 1, 0), TRAP_PASS_SYN_REMEMBERED);
  EXPECT_EQ(remembered(), 1u);
}

// A connection of this host's, which had no socket any more: its place on the wire is another's.
TEST_P(Hook, a_forwarded_syn_takes_the_place_of_what_is_over) {
  const Json tuples = Json::parse(R"({
    "to_backend": {"local": "client", "remote": "elsewhere", "local_port": 40000, "remote_port": 443, "backend": "public", "backend_port": 80},
    "to_public": {"local": "client", "remote": "public", "local_port": 40000, "remote_port": 80, "service": "elsewhere", "port": 443}})");
  for (const auto& map : tuples.items()) {
    const DescribedEntry described =
        describe_entry(map.key(), map.value(), GetParam(), constants_, 0);
    client_->put(map.key(), described.key, described.value);
  }
  EXPECT_EQ(verdict_of("trap_client_egress", 1, 0), TRAP_PASS_OTHER);
  EXPECT_TRUE(client_->entries("to_public").empty());
  EXPECT_TRUE(client_->entries("to_backend").empty());
}

// Its answers go the way that the kernel chose for the SYN, whatever rules it has for that.
TEST_P(Hook, the_way_of_a_syn_is_remembered) {
  mark_ = 0x77;
  EXPECT_EQ(verdict_of("trap_client_egress", 0, 0), TRAP_PASS_SYN_REMEMBERED);
  const auto entries = client_->entries("pending");
  ASSERT_EQ(entries.size(), 1u);
  trap_pending syn;
  std::memcpy(&syn, entries.begin()->second.data(), sizeof syn);
  const Bytes frame = build_packet(Json::parse(R"({"tcp": {"seq": 7}})"), GetParam(), constants_);
  EXPECT_TRUE(std::equal(std::begin(syn.ethernet), std::end(syn.ethernet), frame.begin()));
  EXPECT_NE(syn.ifindex, 0u);
  EXPECT_EQ(syn.mark, 0x77u);
}

TEST_P(Hook, a_syn_of_a_lan_is_answered_there) {
  EXPECT_EQ(verdict_of("trap_client_ingress_lan", 1, 0), TRAP_PASS_SYN_REMEMBERED);
  const auto entries = client_->entries("pending");
  ASSERT_EQ(entries.size(), 1u);
  trap_pending syn;
  std::memcpy(&syn, entries.begin()->second.data(), sizeof syn);
  EXPECT_EQ(syn.ifindex, 0u);
}

TEST_P(Hook, syns_of_the_daemon_pass) {
  EXPECT_EQ(verdict_of("trap_client_egress", 0, TRAP_CLIENT_OWN_PRIORITY), TRAP_PASS_OTHER);
  EXPECT_EQ(remembered(), 0u);
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, Hook, testing::Values(4, 6));

} // namespace
} // namespace trap::test
