// SPDX-License-Identifier: Apache-2.0
// The order of a capture in a program's memory, its bounds, and its end when nothing asks any more.
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "runtime/capture/capture_desk.h"
#include "runtime/verdict_text.h"

namespace trap::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr std::uint64_t second_ns = 1'000'000'000;

class Captures : public testing::Test {
protected:
  void SetUp() override {
    desk_.open(
        {.ring_fd = -1,
         .orders =
             [this] {
               return std::vector{&order_, &other_order_};
             },
         .name_of_slot =
             [](std::uint32_t slot) { return slot == 1 ? std::string("web") : std::string(); }});
  }
  Result<std::string> command(std::vector<std::string> words) {
    words.insert(words.begin(), "capture");
    return desk_.command(words, now_ns_);
  }
  void take(trap_verdict verdict, std::uint32_t flags = 0) {
    trap_captured sample = {.monotonic_ns = 5,
                            .ifindex = 99999,
                            .packet_bytes = 1500,
                            .captured_bytes = 3,
                            .slot = 1,
                            .verdict = static_cast<__u32>(verdict),
                            .flags = flags,
                            .bytes = {0xab, 0x00, 0x1f}};
    desk_.take(sample);
  }

  trap_capture_order order_ = {}, other_order_ = {};
  std::uint64_t now_ns_ = second_ns;
  CaptureDesk desk_;
};

TEST_F(Captures, order_the_verdicts_that_are_named_from_every_program) {
  ASSERT_TRUE(command({"begin", "7", verdict_name(TRAP_PASS_OTHER), "drop-uninvited"}));
  const int last = TRAP_DROP_UNINVITED;
  for (const trap_capture_order* order : {&order_, &other_order_}) {
    EXPECT_EQ(order->left, 7);
    EXPECT_TRUE(order->wanted[0] >> TRAP_PASS_OTHER & 1);
    EXPECT_TRUE(order->wanted[last / 64] >> (last % 64) & 1);
    EXPECT_EQ(std::popcount(order->wanted[0]) + std::popcount(order->wanted[1]), 2);
  }
}

TEST_F(Captures, tell_each_packet_once_and_no_more_than_were_asked_for) {
  ASSERT_TRUE(command({"begin", "2", "drop-uninvited"}));
  take(TRAP_DROP_UNINVITED, TRAP_CAPTURED_MONITORED);
  json told = json::parse(*command({"more", "1"}));
  ASSERT_EQ(told["packets"].size(), 1U);
  const json& packet = told["packets"][0];
  EXPECT_EQ(packet["verdict"], "drop-uninvited");
  EXPECT_EQ(packet["service"], "web");
  EXPECT_EQ(packet["bytes"], "ab001f");
  EXPECT_EQ(packet["length"], 1500);
  EXPECT_EQ(packet["direction"], "in");
  EXPECT_EQ(packet["monitored"], true);
  EXPECT_EQ(packet["interface"], "if99999");
  EXPECT_EQ(order_.left, 1);
  take(TRAP_DROP_UNINVITED, TRAP_CAPTURED_LEAVES | TRAP_CAPTURED_AT_IP);
  take(TRAP_DROP_UNINVITED);
  told = json::parse(*command({"end", "1"}));
  ASSERT_EQ(told["packets"].size(), 1U);
  EXPECT_EQ(told["packets"][0]["direction"], "out");
  EXPECT_EQ(told["packets"][0]["link"], "ip");
  EXPECT_EQ(told["left"], 0);
  EXPECT_EQ(order_.left, 0);
}

TEST_F(Captures, count_what_was_lost_meanwhile) {
  order_.lost = 10;
  ASSERT_TRUE(command({"begin", "5", "drop-uninvited"}));
  other_order_.lost = 3;
  EXPECT_EQ(json::parse(*command({"more", "1"}))["lost"], 3);
}

TEST_F(Captures, a_flood_gets_no_more_than_a_share_at_once) {
  ASSERT_TRUE(command({"begin", "100000", "drop-uninvited"}));
  EXPECT_EQ(order_.left, 500);
}

TEST_F(Captures, end_when_nothing_asks_for_more) {
  ASSERT_TRUE(command({"begin", "5", "drop-uninvited"}));
  desk_.tick(now_ns_ + 2 * second_ns);
  EXPECT_EQ(order_.left, 5);
  EXPECT_THAT(command({"begin", "5", "drop-uninvited"}).error().message, HasSubstr("under way"));
  desk_.tick(now_ns_ + 4 * second_ns);
  EXPECT_EQ(order_.left, 0);
  EXPECT_EQ(other_order_.left, 0);
  EXPECT_THAT(command({"more", "1"}).error().message, HasSubstr("has ended"));
  EXPECT_TRUE(command({"begin", "5", "drop-uninvited"}));
  EXPECT_FALSE(command({"more", "1"})); // of the former capture
}

TEST_F(Captures, end_with_the_daemon) {
  {
    CaptureDesk desk;
    desk.open(
        {.ring_fd = -1, .orders = [this] { return std::vector{&order_}; }, .name_of_slot = {}});
    ASSERT_TRUE(desk.command({"capture", "begin", "5", "drop-uninvited"}, now_ns_));
    EXPECT_EQ(order_.left, 5);
  }
  EXPECT_EQ(order_.left, 0);
}

TEST_F(Captures, refuse_what_they_do_not_take) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"begin"},
                                                {"begin", "5"},
                                                {"begin", "0", "drop-uninvited"},
                                                {"begin", "100001", "drop-uninvited"},
                                                {"begin", "x", "drop-uninvited"},
                                                {"begin", "5", "no-verdict"},
                                                {"begin", "5", ""},
                                                {"more"},
                                                {"more", "1"},
                                                {"end", "1", "2"},
                                                {"other", "1"}})
    EXPECT_FALSE(command(words));
  EXPECT_EQ(order_.left, 0);
}

} // namespace
} // namespace trap::test
