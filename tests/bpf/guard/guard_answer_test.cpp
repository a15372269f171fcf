// SPDX-License-Identifier: Apache-2.0
// Segments that leave a protected port and are no answer to a SYN: they pass as they are, and the
// egress program neither counts them nor notes anything of them (fixtures answer.json have the
// others).
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>

#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::uint32_t slots = 4;
constexpr std::size_t l2 = 14;

class GuardAnswers : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    guard_ = &fresh_object(part_under_test(), constants_);
    const Json flow = {{"client", "client"},
                       {"service", "backend"},
                       {"client_port", 40000},
                       {"service_port", 80},
                       {"isn", 7}};
    const DescribedEntry entry = describe_entry("flows", flow, GetParam(), constants_, 0);
    guard_->put("flows", entry.key, entry.value);
  }

  Bytes leaving(const Json& change = Json::object()) const {
    Json packet = {
        {"ip", {{"src", "backend"}, {"dst", "client"}}},
        {"tcp", {{"sport", 80}, {"dport", 40000}, {"seq", 9}, {"ack", 1}, {"flags", "SA"}}}};
    packet.merge_patch(change);
    return build_packet(packet, GetParam(), constants_);
  }

  std::uint64_t counted() const {
    std::uint64_t packets = 0;
    for (const trap_count& count : guard_->counts(slots))
      packets += count.packets;
    return packets;
  }

  // A verdict is counted for an answer only.
  void expect_to_pass_unseen(const Bytes& frame, const std::string& what,
                             const char* program = "trap_guard_egress") const {
    const std::uint64_t before = counted();
    const Entries flows = guard_->entries("flows");
    const Outcome outcome = guard_->run(program, frame);
    EXPECT_EQ(outcome.action, static_cast<std::uint32_t>(TC_ACT_UNSPEC)) << what;
    EXPECT_EQ(outcome.frame, frame) << what;
    EXPECT_EQ(counted(), before) << what;
    EXPECT_EQ(guard_->entries("flows"), flows) << what;
  }

  const TestConstants constants_;
  Object* guard_ = nullptr;
};

TEST_P(GuardAnswers, segments_with_other_flags_pass_unseen) {
  for (int flags = 0; flags < 256; flags++) {
    constexpr int judged = 0x17; // RST, FIN, SYN, ACK
    if ((flags & judged) == 0x12)
      continue;
    expect_to_pass_unseen(leaving({{"tcp", {{"flags", flags}}}}), "flags " + std::to_string(flags));
  }
}

TEST_P(GuardAnswers, of_ports_that_are_not_protected_pass_unseen) {
  for (const int port : {0, 22, 79, 82, 65535})
    expect_to_pass_unseen(leaving({{"tcp", {{"sport", port}}}}), "port " + std::to_string(port));
}

TEST_P(GuardAnswers, that_cannot_be_read_pass_unseen) {
  const Bytes whole = leaving();
  const std::size_t least = l2 + (GetParam() == 4 ? 20 : 40); // that a test run takes
  for (std::size_t bytes = least; bytes < whole.size(); bytes++)
    expect_to_pass_unseen({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes)},
                          std::to_string(bytes) + " bytes");
  expect_to_pass_unseen(leaving({{"tcp", {{"data_offset", 4}}}}), "a data offset of 4");
  expect_to_pass_unseen(leaving({{"vlan", 3}}), "three tags");
  expect_to_pass_unseen(leaving({{"ip", {{"protocol", 17}}}}), "UDP");
  expect_to_pass_unseen(leaving({{"eth", {{"type", 0x0806}}}}), "no IP, by its EtherType");
}

TEST_P(GuardAnswers, are_read_as_the_interface_has_them) {
  expect_to_pass_unseen(leaving(), "an Ethernet header where there is none",
                        "trap_guard_egress_ip");
  expect_to_pass_unseen(leaving({{"eth", "none"}}), "no Ethernet header where there is one");
}

INSTANTIATE_TEST_SUITE_P(Families, GuardAnswers, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
