// SPDX-License-Identifier: Apache-2.0
// Our programs among those of others at tc, and the order they stand in, on the loopback interface
// of a network namespace of the test's own.
#include "runtime/attach/tc_filter.h"

#include <sched.h>

#include <array>
#include <optional>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>

#include "runtime/attach/tcx.h"
#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"

namespace trap {
namespace {

constexpr unsigned loopback = 1; // its index in each network namespace
constexpr char our_name[] = "trap_tested";

// A program that leaves each packet to the next one. No two have one id.
Fd program_named(const char* name) {
  const std::array<bpf_insn, 2> code = {
      bpf_insn{
          .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = -1},
      bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name, "Apache-2.0", code.data(), code.size(),
                           nullptr));
  EXPECT_TRUE(program) << "cannot load a program: are you root?";
  return program;
}

class TcFilter : public testing::TestWithParam<Direction> {
protected:
  void SetUp() override {
    redirect_libbpf_messages(); // to the log, at debug level
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "are you root?";
  }

  TcHook hook() const { return {GetParam(), our_name}; }

  void attach(const Fd& program, const std::vector<KnownProgram>& known = {}) {
    Undo undo;
    attach_until(program, known, undo);
    undo.keep_everything();
  }

  void attach_until(const Fd& program, const std::vector<KnownProgram>& known, Undo& undo) {
    const auto attached = attach_filter("lo", loopback, hook(), program.get(), known, undo);
    ASSERT_TRUE(attached) << attached.error().message;
  }

  std::vector<__u32> in_line() const { return tcx::program_ids(loopback, GetParam()); }

  bpf_tc_attach_point side() const {
    return GetParam() == Direction::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  }

  void attach_to_clsact(const Fd& program, __u32 priority) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(loopback), .attach_point = side());
    bpf_tc_hook_create(&hook); // fails where it is there
    LIBBPF_OPTS(bpf_tc_opts, options);
    options.handle = 1;
    options.priority = priority;
    options.prog_fd = program.get();
    ASSERT_EQ(bpf_tc_attach(&hook, &options), 0);
  }

  __u32 clsact_program(__u32 priority) const {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(loopback), .attach_point = side());
    LIBBPF_OPTS(bpf_tc_opts, options);
    options.handle = 1;
    options.priority = priority;
    return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
  }
};

__u32 id_of(const Fd& program) {
  return known_program(program.get()).id;
}

using Ids = std::vector<__u32>;
using Names = std::vector<std::string>;

TEST_P(TcFilter, GoesBeforeProgramsThatAreThere) {
  const Fd theirs = program_named("theirs"), ours = program_named(our_name);
  ASSERT_EQ(tcx::attach_first(loopback, GetParam(), theirs.get()), 0);
  attach(ours);
  EXPECT_EQ(in_line(), (Ids{id_of(ours), id_of(theirs)}));
  EXPECT_EQ(filter_program_id(loopback, hook(), {}), id_of(ours));
}

TEST_P(TcFilter, TakesThePlaceOfAnEarlierRun) {
  const Fd theirs = program_named("theirs"), former = program_named(our_name),
           ours = program_named(our_name);
  attach(former);
  ASSERT_EQ(tcx::attach_first(loopback, GetParam(), theirs.get()), 0);
  attach(ours, {known_program(former.get())});
  EXPECT_EQ(in_line(), (Ids{id_of(ours), id_of(theirs)}))
      << "others got in front: the new one goes to the front, and the former one goes";
  const Fd next = program_named(our_name);
  attach(next, {known_program(ours.get())});
  EXPECT_EQ(in_line(), (Ids{id_of(next), id_of(theirs)}));
}

TEST_P(TcFilter, AttachingWhatIsThereChangesNothing) {
  const Fd theirs = program_named("theirs"), ours = program_named(our_name);
  attach(ours);
  attach(ours);
  attach(ours, {known_program(ours.get())});
  EXPECT_EQ(in_line(), Ids{id_of(ours)});
  ASSERT_EQ(tcx::attach_first(loopback, GetParam(), theirs.get()), 0);
  attach(ours);
  EXPECT_EQ(in_line(), (Ids{id_of(theirs), id_of(ours)})) << "others are not fought";
}

TEST_P(TcFilter, FindsAnEarlierRunByNameWithoutItsPins) {
  const Fd former = program_named(our_name), ours = program_named(our_name);
  attach(former);
  attach(ours);
  EXPECT_EQ(in_line(), Ids{id_of(ours)});
}

TEST_P(TcFilter, AFailedStartLeavesWhatWasThere) {
  const Fd theirs = program_named("theirs"), former = program_named(our_name),
           ours = program_named(our_name);
  const std::vector<KnownProgram> known = {known_program(former.get())};
  {
    Undo undo;
    attach_until(ours, {}, undo);
  }
  EXPECT_EQ(in_line(), Ids{}) << "there was nothing before";
  attach(former);
  {
    Undo undo;
    attach_until(ours, known, undo);
    ASSERT_EQ(in_line(), Ids{id_of(ours)});
  }
  EXPECT_EQ(in_line(), Ids{id_of(former)});
  ASSERT_EQ(tcx::attach_first(loopback, GetParam(), theirs.get()), 0);
  {
    Undo undo;
    attach_until(ours, known, undo);
  }
  EXPECT_EQ(in_line(), (Ids{id_of(former), id_of(theirs)}));
}

TEST_P(TcFilter, LeavesClsactWhereAnEarlierVersionStood) {
  const Fd theirs = program_named("theirs"), former = program_named(our_name),
           ours = program_named(our_name);
  attach_to_clsact(theirs, 1);
  attach_to_clsact(former, 2);
  EXPECT_EQ(filter_program_id(loopback, hook(), {}), id_of(former));
  const std::vector<KnownProgram> known = {known_program(former.get())};
  {
    Undo undo;
    attach_until(ours, known, undo);
    EXPECT_EQ(in_line(), Ids{id_of(ours)});
    EXPECT_EQ(clsact_program(2), 0U);
  }
  EXPECT_EQ(in_line(), Ids{});
  EXPECT_EQ(clsact_program(2), id_of(former));
  attach(ours, known);
  EXPECT_EQ(clsact_program(1), id_of(theirs));
  EXPECT_EQ(clsact_program(2), 0U);
}

TEST_P(TcFilter, DetachesOursAlone) {
  const Fd theirs = program_named("theirs"), old = program_named(our_name),
           ours = program_named(our_name);
  EXPECT_FALSE(detach_filter(loopback, hook(), {}));
  attach(ours);
  ASSERT_EQ(tcx::attach_first(loopback, GetParam(), theirs.get()), 0);
  attach_to_clsact(theirs, 1);
  attach_to_clsact(old, 2);
  EXPECT_TRUE(detach_filter(loopback, hook(), {}));
  EXPECT_EQ(in_line(), Ids{id_of(theirs)});
  EXPECT_EQ(clsact_program(1), id_of(theirs));
  EXPECT_EQ(clsact_program(2), 0U);
  EXPECT_EQ(filter_program_id(loopback, hook(), {}), 0U);
}

TEST_P(TcFilter, NamesItsNeighbors) {
  const Fd first = program_named("first"), last = program_named("last"),
           filter = program_named("filter"), nameless = program_named(""),
           ours = program_named(our_name);
  ASSERT_EQ(tcx::attach_first(loopback, GetParam(), last.get()), 0);
  attach(ours);
  EXPECT_EQ(filter_neighbors(loopback, hook(), {}).before, Names{});
  ASSERT_EQ(tcx::attach_first(loopback, GetParam(), first.get()), 0);
  ASSERT_EQ(tcx::attach_first(loopback, GetParam(), nameless.get()), 0);
  attach_to_clsact(filter, 3);
  const TcNeighbors neighbors = filter_neighbors(loopback, hook(), {});
  EXPECT_EQ(neighbors.before, (Names{"program " + std::to_string(id_of(nameless)), "first"}));
  EXPECT_EQ(neighbors.behind, (Names{"last", "filter"}));
  EXPECT_EQ(programs_before(loopback, hook(), {}).back(),
            direction_name(GetParam()) + std::string(" first"));
  detach_filter(loopback, hook(), {});
  EXPECT_EQ(filter_neighbors(loopback, hook(), {}).before, Names{}) << "without ours, of whom?";
}

TEST_P(TcFilter, FearsNoOtherPartOfTrap) {
  const Fd server = program_named("trap_server_tc"), guard = program_named("trap_guard_egress"),
           client = program_named("trap_client_ingress"),
           ours = program_named("trap_client_egress");
  const TcHook hook = {GetParam(), "trap_client_egress"};
  Undo undo;
  ASSERT_TRUE(attach_filter("lo", loopback, hook, ours.get(), {}, undo));
  for (const Fd* before : {&server, &guard, &client})
    ASSERT_EQ(tcx::attach_first(loopback, GetParam(), before->get()), 0);
  EXPECT_EQ(filter_neighbors(loopback, hook, {}).before.size(), 3U);
  EXPECT_EQ(programs_before(loopback, hook, {}),
            Names{direction_name(GetParam()) + std::string(" trap_client_ing")});
}

TEST_P(TcFilter, SaysThatTheLineIsFull) {
  std::vector<Fd> theirs;
  for (int at = 0; at < 63; at++) {
    theirs.push_back(program_named("theirs"));
    ASSERT_EQ(tcx::attach_first(loopback, GetParam(), theirs.back().get()), 0);
  }
  Undo undo;
  const auto attached =
      attach_filter("lo", loopback, hook(), program_named(our_name).get(), {}, undo);
  ASSERT_FALSE(attached);
  EXPECT_NE(attached.error().message.find("63 programs"), std::string::npos)
      << attached.error().message;
}

INSTANTIATE_TEST_SUITE_P(BothDirections, TcFilter,
                         testing::Values(Direction::ingress, Direction::egress),
                         [](const auto& direction) { return direction_name(direction.param); });

} // namespace
} // namespace trap
