// SPDX-License-Identifier: Apache-2.0
// A service that accepts its clients too slowly is told from one whose listener drops for another
// reason.
#include <gmock/gmock.h>

#include "runtime/nanoseconds.h"
#include "runtime/net/stack_counter.h"
#include "server/daemon/state/listener_queue.h"

namespace trap::test {
namespace {

using server::ListenerQueue;
using server::queue_questions;
using server::QueueSight;
using testing::HasSubstr;

QueueSight sight_of(std::uint32_t drops, bool is_full = false) {
  QueueSight sight = {.is_full = is_full, .room = 128};
  sight.drops[0] = drops;
  return sight;
}

TEST(ListenerQueue, is_too_short_for_a_minute_after_drops) {
  ListenerQueue queue;
  queue.observe(1 * ns_per_s, sight_of(7), 7);
  EXPECT_EQ(queue.problem(1 * ns_per_s), "") << "before this daemon";
  queue.observe(2 * ns_per_s, sight_of(9), 9);
  EXPECT_THAT(queue.problem(2 * ns_per_s), HasSubstr("of 128, was full within the last minute"));
  EXPECT_TRUE(queue.is_short(61 * ns_per_s));
  EXPECT_FALSE(queue.is_short(62 * ns_per_s));
  EXPECT_EQ(queue.problem(62 * ns_per_s), "");
  EXPECT_EQ(queue.overflows(), 2u);
}

TEST(ListenerQueue, is_not_blamed_for_drops_of_other_kinds_or_other_listeners) {
  ListenerQueue queue;
  queue.observe(1 * ns_per_s, sight_of(7), 7);
  queue.observe(2 * ns_per_s, sight_of(9), 7);
  EXPECT_FALSE(queue.is_short(2 * ns_per_s)) << "a filter's drops";
  queue.observe(3 * ns_per_s, sight_of(9), 8);
  EXPECT_FALSE(queue.is_short(3 * ns_per_s)) << "another listener's overflow";
  queue.observe(4 * ns_per_s, sight_of(0), 9);
  EXPECT_FALSE(queue.is_short(4 * ns_per_s)) << "a new listener";
  EXPECT_EQ(queue.overflows(), 0u);
}

TEST(ListenerQueue, is_full_if_it_is_so_for_more_than_a_moment) {
  ListenerQueue queue;
  for (std::uint64_t second = 1; second <= 2; second++) {
    queue.observe(second * ns_per_s, sight_of(0, true), 0);
    EXPECT_FALSE(queue.is_full());
  }
  queue.observe(3 * ns_per_s, sight_of(0, true), 0);
  EXPECT_TRUE(queue.is_full());
  EXPECT_TRUE(queue.is_short(3 * ns_per_s));
  EXPECT_THAT(queue.problem(3 * ns_per_s), HasSubstr("is full"));
  queue.observe(4 * ns_per_s, sight_of(0), 0);
  EXPECT_FALSE(queue.is_full());
  EXPECT_EQ(queue.problem(4 * ns_per_s), "");
}

TEST(ListenerQueue, of_listeners_that_share_an_address_is_watched_at_each) {
  ListenerQueue queue;
  QueueSight sight = sight_of(100);
  queue.observe(1 * ns_per_s, sight, 100);
  sight.drops[queue_questions - 1] = 1;
  queue.observe(2 * ns_per_s, sight, 101);
  EXPECT_TRUE(queue.is_short(2 * ns_per_s));
  EXPECT_EQ(queue.overflows(), 1u);
}

TEST(ListenerQueue, knows_whether_a_handshake_may_have_been_dropped_there) {
  ListenerQueue queue;
  queue.observe(1 * ns_per_s, sight_of(0), 0);
  EXPECT_FALSE(queue.overflowed_after(0));
  queue.observe(2 * ns_per_s, sight_of(1), 1);
  EXPECT_TRUE(queue.overflowed_after(1 * ns_per_s)) << "it was between the looks";
  EXPECT_FALSE(queue.overflowed_after(2 * ns_per_s));
}

TEST(StackCounter, is_found_by_group_and_name) {
  EXPECT_TRUE(read_stack_counter("TcpExt", "ListenOverflows"));
  EXPECT_TRUE(read_stack_counter("Tcp", "PassiveOpens"));
  EXPECT_GE(read_stack_counter("Ip", "DefaultTTL"), 1u) << "of the first group";
  EXPECT_FALSE(read_stack_counter("Tcp", "ListenOverflows")) << "it is of TcpExt";
  EXPECT_FALSE(read_stack_counter("Tc", "PassiveOpens"));
}

} // namespace
} // namespace trap::test
