// SPDX-License-Identifier: Apache-2.0
// Frames of several buffers (fixtures jumbo.json say what becomes of them): what they are counted
// as.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

class GuardFrames : public testing::TestWithParam<int> {};

TEST_P(GuardFrames, are_counted_with_every_byte_of_every_buffer) {
  const TestConstants constants;
  Object* guard = &fresh_object(part_under_test(), constants);
  const auto counted = [&](trap_verdict verdict) {
    return guard->counts(2)[TRAP_VERDICT_SLOTS + verdict].bytes_in;
  };
  std::uint64_t dropped = 0, passed = 0;
  for (const int payload : {10, 3600, 8948, 65000}) {
    const Json tcp = {{"flags", "PA"}};
    const Bytes frame = build_packet(
        {{"ip", {{"dst", "backend"}}}, {"tcp", tcp}, {"payload", payload}}, GetParam(), constants);
    EXPECT_EQ(guard->run("trap_guard", frame).action, XDP_DROP);
    dropped += frame.size();
    EXPECT_EQ(counted(TRAP_DROP_NO_FLOW), dropped) << payload;
    const Json flow = {
        {"client", "client"}, {"service", "backend"}, {"client_port", 40000}, {"service_port", 80}};
    const DescribedEntry entry = describe_entry("flows", flow, GetParam(), constants, 0);
    guard->put("flows", entry.key, entry.value);
    const Outcome outcome = guard->run("trap_guard", frame);
    EXPECT_EQ(outcome.action, XDP_PASS);
    EXPECT_EQ(outcome.frame, frame);
    passed += frame.size();
    EXPECT_EQ(counted(TRAP_PASS_FLOW), passed) << payload;
    guard->clear("flows");
  }
}

// Without it, test runs are as above, and links of large frames take no program.
TEST_P(GuardFrames, of_several_buffers_may_come_to_the_program) {
  Object* guard = &fresh_object(part_under_test(), TestConstants());
  const bpf_program* program = bpf_object__find_program_by_name(guard->object(), "trap_guard");
  ASSERT_NE(program, nullptr);
  EXPECT_STREQ(bpf_program__section_name(program), "xdp.frags");
}

INSTANTIATE_TEST_SUITE_P(Families, GuardFrames, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
