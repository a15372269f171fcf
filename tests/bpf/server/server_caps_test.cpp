// SPDX-License-Identifier: Apache-2.0
// Caps that CPUs share take their tokens in chunks: what one CPU has taken it uses up, and together
// they send no more than the bucket held.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sched.h>

#include "server/maps.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::uint64_t hour_ns =
    3'600'000'000'000; // a token's price: none comes again while the test runs
constexpr std::uint32_t capped_slot = 17;

class Caps : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(sched_getaffinity(0, sizeof allowed_, &allowed_), 0);
    server_ = &fresh_object(part_under_test(), constants_);
  }
  void TearDown() override { sched_setaffinity(0, sizeof allowed_, &allowed_); }

  void cap(std::uint64_t tokens, std::uint32_t chunk) {
    auto service = server_->get<trap_service>("services", capped_slot);
    service.syn_acks = {
        .token_ns = hour_ns, .burst_ns = tokens * hour_ns, .chunk = chunk, .reserved = 0};
    server_->put("services", capped_slot, service);
  }

  // Answers to that many SYNs on one CPU.
  int answers_on(int cpu, int syns) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
      throw std::runtime_error("cannot run on CPU " + std::to_string(cpu));
    const Bytes syn = build_packet({{"tcp", {{"dport", 87}}}}, 4, constants_);
    const std::string& program = part_under_test().programs[0];
    int answers = 0;
    for (int i = 0; i < syns; i++)
      answers += server_->is_answer(program, server_->run(program, syn)) ? 1 : 0;
    return answers;
  }

  std::vector<int> cpus() const {
    std::vector<int> list;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
      if (CPU_ISSET(cpu, &allowed_))
        list.push_back(cpu);
    }
    return list;
  }

  const TestConstants constants_;
  Object* server_ = nullptr;
  cpu_set_t allowed_ = {};
};

TEST_F(Caps, a_chunk_is_used_up_and_what_is_less_than_one_stays) {
  const int cpu = cpus().front();
  cap(11, 4);
  EXPECT_EQ(answers_on(cpu, 100), 8);
  EXPECT_EQ(server_->counters(capped_slot)[TRAP_DROP_SERVICE_CAP], 92u);
}

TEST_F(Caps, cpus_share_the_bucket_and_keep_their_chunks) {
  if (cpus().size() < 2)
    GTEST_SKIP() << "only one CPU may be used, and sharing needs two";
  const int first = cpus()[0];
  const int second = cpus()[1];
  cap(8, 4);
  EXPECT_EQ(answers_on(first, 1), 1);
  EXPECT_EQ(answers_on(second, 100), 4);
  EXPECT_EQ(answers_on(first, 100), 3) << "what is left of its chunk";
}

TEST_F(Caps, none_means_none) {
  cap(0, 1);
  EXPECT_EQ(answers_on(cpus().front(), 10), 0);
}

} // namespace
} // namespace trap::test
