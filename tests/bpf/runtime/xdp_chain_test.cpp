// SPDX-License-Identifier: Apache-2.0
// Two parts at one interface: which program is in the link and which behind it, in each order of
// coming and going, and wherever a daemon may have died in between. On the loopback interface of a
// network namespace of the test's own.
#include "runtime/attach/xdp_chain.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>

#include "runtime/attach/xdp.h"
#include "runtime/attach/xdp_refusal.h"
#include "runtime/kernel/pinned_object.h"

namespace trap {
namespace {

constexpr unsigned loopback = 1; // its index in each network namespace
constexpr __u32 places = 8;

Fd program_named(const char* name) {
  const std::array<bpf_insn, 2> code = {
      bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K,
               .dst_reg = 0,
               .src_reg = 0,
               .off = 0,
               .imm = XDP_PASS},
      bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  Fd program(
      bpf_prog_load(BPF_PROG_TYPE_XDP, name, "Apache-2.0", code.data(), code.size(), nullptr));
  EXPECT_TRUE(program) << "cannot load a program: are you root?";
  return program;
}

// One run of a part: its program, its pins and what it holds.
struct PartRun {
  std::string pin_dir;
  Fd program;
  Fd behind; // of the part in front alone
  Fd link;
  __u32 earlier_id = 0;

  ChainPlace place() const {
    return {.pin_dir = pin_dir,
            .interface = "lo",
            .index = loopback,
            .link_fd = link.get(),
            .program_fd = program.get(),
            .behind_fd = behind.get(),
            .earlier_id = earlier_id};
  }
  __u32 id() const { return program_id_of(program.get()); }
};

class XdpChainTest : public testing::Test {
protected:
  void SetUp() override {
    redirect_libbpf_messages(); // to the log, at debug level
    ASSERT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0) << "are you root?";
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    char made[] = "/tmp/trap-chain.XXXXXX";
    ASSERT_NE(mkdtemp(made), nullptr);
    directory_ = made;
    ASSERT_EQ(mount("bpf", made, "bpf", 0, nullptr), 0);
    for (const char* part : {"server", "guard"})
      ASSERT_EQ(mkdir((directory_ + "/" + part).c_str(), 0700), 0);
  }

  void TearDown() override {
    umount2(directory_.c_str(), MNT_DETACH);
    rmdir(directory_.c_str());
  }

  PartRun guard(const char* name = "guard", __u32 earlier_id = 0) {
    return {directory_ + "/guard", program_named(name), Fd(), Fd(), earlier_id};
  }

  PartRun server() {
    PartRun run{directory_ + "/server", program_named("server"),
                Fd(bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "behind", 4, 4, places, nullptr)), Fd(),
                0};
    EXPECT_TRUE(pin(run.behind.get(), run.pin_dir + "/behind"));
    return run;
  }

  static void pin_program(const PartRun& run) {
    EXPECT_TRUE(pin(run.program.get(), run.pin_dir + "/" + xdp_program_pin));
  }

  static void pin_link(const PartRun& run) {
    EXPECT_TRUE(pin(run.link.get(), run.pin_dir + "/" + link_pin_name("lo")));
  }

  // Alone at the interface.
  static void attach(PartRun& run) {
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.flags = XDP_FLAGS_SKB_MODE;
    run.link = Fd(bpf_link_create(run.program.get(), loopback, BPF_XDP, &options));
    ASSERT_TRUE(run.link);
    pin_link(run);
    pin_program(run);
  }

  // Pins the other's link, and changes nothing yet.
  static void join(PartRun& run) {
    auto neighbor = find_xdp_neighbor(run.pin_dir, "lo", loopback);
    ASSERT_TRUE(neighbor);
    EXPECT_EQ(sharing_refusal(*neighbor, run.place(), "generic"), "");
    run.link = std::move(neighbor->link);
    pin_link(run);
  }

  static void settle(const PartRun& run) {
    pin_program(run);
    const auto taken = take_place(run.place());
    EXPECT_TRUE(taken) << taken.error().message;
  }

  // A later run of the guard, upon the pins of the one before, which has died.
  PartRun guard_again(const char* name) {
    const Fd earlier(bpf_obj_get((directory_ + "/guard/" + xdp_program_pin).c_str()));
    PartRun run = guard(name, earlier ? program_id_of(earlier.get()) : 0);
    run.link = Fd(bpf_obj_get((run.pin_dir + "/" + link_pin_name("lo")).c_str()));
    return run;
  }

  static __u32 in_link() { return attached_xdp(loopback).program_id; }

  static __u32 behind(const PartRun& front) {
    __u32 id = 0;
    const __u32 index = loopback;
    return bpf_map_lookup_elem(front.behind.get(), &index, &id) == 0 ? id : 0;
  }

  std::string directory_;
};

TEST_F(XdpChainTest, the_server_comes_second_and_goes_in_front) {
  PartRun first = guard();
  attach(first);
  PartRun second = server();
  join(second);
  EXPECT_EQ(in_link(), first.id()) << "nothing changes before";
  settle(second);
  EXPECT_EQ(in_link(), second.id());
  EXPECT_EQ(behind(second), first.id());
  EXPECT_FALSE(lost_place(first.place()));
  EXPECT_FALSE(lost_place(second.place()));
  EXPECT_EQ(chain_at(first.place()).before, std::vector<std::string>{"server"});
  EXPECT_EQ(chain_at(second.place()).behind, std::vector<std::string>{"guard"});
  EXPECT_TRUE(pinned_chain_at(first.pin_dir, "lo", loopback).ours);
}

TEST_F(XdpChainTest, the_guard_comes_second_and_goes_behind) {
  PartRun first = server();
  attach(first);
  PartRun second = guard();
  join(second);
  EXPECT_EQ(behind(first), 0U);
  settle(second);
  EXPECT_EQ(in_link(), first.id());
  EXPECT_EQ(behind(first), second.id());
}

TEST_F(XdpChainTest, either_leaves_the_link_to_the_other) {
  PartRun first = guard();
  attach(first);
  PartRun second = server();
  join(second);
  settle(second);
  EXPECT_TRUE(*leave_to_neighbor(second.place()));
  EXPECT_EQ(in_link(), first.id());
  unlink((second.pin_dir + "/" + link_pin_name("lo")).c_str());
  EXPECT_FALSE(*leave_to_neighbor(first.place())) << "it is alone";
  join(second);
  settle(second);
  EXPECT_TRUE(*leave_to_neighbor(first.place()));
  EXPECT_EQ(in_link(), second.id());
  EXPECT_EQ(behind(second), 0U);
}

TEST_F(XdpChainTest, a_guard_that_starts_again_stays_behind) {
  PartRun front = server();
  attach(front);
  PartRun former = guard();
  join(former);
  settle(former);
  PartRun now = guard_again("guard_2");
  settle(now);
  EXPECT_EQ(in_link(), front.id());
  EXPECT_EQ(behind(front), now.id());
}

TEST_F(XdpChainTest, a_guard_that_died_before_its_new_program_was_in_place_goes_behind) {
  PartRun front = server();
  attach(front);
  PartRun former = guard();
  join(former);
  settle(former);
  pin_program(guard_again("guard_2"));
  PartRun now = guard_again("guard_3");
  EXPECT_TRUE(lost_place(now.place()));
  settle(now);
  EXPECT_EQ(in_link(), front.id());
  EXPECT_EQ(behind(front), now.id());
}

TEST_F(XdpChainTest, a_server_that_died_before_it_was_in_the_link_finds_the_guards_newer_program) {
  PartRun former = guard();
  attach(former);
  PartRun front = server();
  join(front);
  PartRun now = guard_again("guard_2");
  settle(now);
  EXPECT_EQ(in_link(), now.id()) << "the server's is not there yet";
  settle(front);
  EXPECT_EQ(in_link(), front.id());
  EXPECT_EQ(behind(front), now.id());
}

TEST_F(XdpChainTest, a_guard_pushes_no_server_out_whose_pins_are_gone) {
  PartRun front = server();
  attach(front);
  PartRun former = guard();
  join(former);
  settle(former);
  ASSERT_TRUE(pin(front.behind.get(), former.pin_dir + "/" + front_map_pin));
  unlink((front.pin_dir + "/" + link_pin_name("lo")).c_str());
  PartRun now = guard_again("guard_2");
  settle(now);
  EXPECT_EQ(in_link(), front.id());
  EXPECT_EQ(behind(front), now.id());
  EXPECT_TRUE(chain_at(now.place()).ours);
}

TEST_F(XdpChainTest, a_program_array_that_the_kernel_emptied_is_filled_again) {
  PartRun first = guard();
  attach(first);
  PartRun second = server();
  join(second);
  settle(second);
  const __u32 index = loopback;
  bpf_map_delete_elem(second.behind.get(), &index);
  EXPECT_TRUE(lost_place(first.place()));
  EXPECT_TRUE(lost_place(second.place()));
  EXPECT_FALSE(chain_at(first.place()).ours);
  EXPECT_TRUE(take_place(first.place()));
  EXPECT_FALSE(lost_place(second.place()));
}

TEST_F(XdpChainTest, forgets_programs_of_interfaces_that_have_gone) {
  const PartRun front = server();
  const Fd program = program_named("guard");
  const int fd = program.get();
  for (const __u32 index : {loopback, loopback + 1})
    ASSERT_EQ(bpf_map_update_elem(front.behind.get(), &index, &fd, BPF_ANY), 0);
  keep_behind(front.behind.get(), {loopback});
  EXPECT_EQ(behind(front), program_id_of(fd));
  __u32 id = 0;
  const __u32 gone = loopback + 1;
  EXPECT_NE(bpf_map_lookup_elem(front.behind.get(), &gone, &id), 0);
}

TEST_F(XdpChainTest, says_why_parts_cannot_share) {
  PartRun first = guard();
  attach(first);
  const auto neighbor = find_xdp_neighbor(directory_ + "/server", "lo", loopback);
  ASSERT_TRUE(neighbor);
  EXPECT_NE(sharing_refusal(*neighbor, guard().place(), "generic").find("two of a kind"),
            std::string::npos);
  PartRun second = server();
  EXPECT_NE(sharing_refusal(*neighbor, second.place(), "native").find("same xdp_mode"),
            std::string::npos);
  ChainPlace far = second.place();
  far.index = places;
  EXPECT_NE(sharing_refusal(*neighbor, far, attached_xdp(places).mode).find("above 7"),
            std::string::npos);
  unlink((first.pin_dir + "/" + xdp_program_pin).c_str());
  const auto earlier = find_xdp_neighbor(directory_ + "/server", "lo", loopback);
  ASSERT_TRUE(earlier);
  for (const ChainPlace& place : {second.place(), guard().place()})
    EXPECT_NE(sharing_refusal(*earlier, place, "generic").find("earlier version"),
              std::string::npos)
        << "an earlier server has no map of programs behind it either";
}

struct StartOrder {
  const char* name;
  bool server_attaches_first, server_is_ready_first;
};

class PartsThatStartAtOnce : public XdpChainTest, public testing::WithParamInterface<StartOrder> {};

// Each has attached before the other has finished its start, as when a host boots.
TEST_P(PartsThatStartAtOnce, share_the_interface) {
  const PartRun front = server(), back = guard();
  Undo undo;
  const auto make = [&](const char* part, const PartRun& run) {
    PartConfig config = make_part_config(part);
    config.interfaces = {"lo"};
    config.pin_dir = run.pin_dir;
    config.xdp_mode = XdpMode::generic;
    return XdpAttachments::make(config, {.ethernet = run.program.get(), .behind = run.behind.get()},
                                undo);
  };
  const bool server_attaches_first = GetParam().server_attaches_first;
  auto first = server_attaches_first ? make("server", front) : make("guard", back);
  ASSERT_TRUE(first) << first.error().message;
  auto second = server_attaches_first ? make("guard", back) : make("server", front);
  ASSERT_TRUE(second) << second.error().message;
  if (server_attaches_first != GetParam().server_is_ready_first)
    std::swap(*first, *second);
  for (XdpAttachments* ready : {&*first, &*second}) {
    const auto swapped = ready->swap_programs();
    ASSERT_TRUE(swapped) << swapped.error().message;
  }
  EXPECT_EQ(in_link(), front.id());
  EXPECT_EQ(behind(front), back.id());
}

INSTANTIATE_TEST_SUITE_P(Orders, PartsThatStartAtOnce,
                         testing::Values(StartOrder{"server_server", true, true},
                                         StartOrder{"server_guard", true, false},
                                         StartOrder{"guard_guard", false, false},
                                         StartOrder{"guard_server", false, true}),
                         [](const auto& order) { return std::string(order.param.name); });

} // namespace
} // namespace trap
