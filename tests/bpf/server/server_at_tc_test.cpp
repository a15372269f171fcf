// SPDX-License-Identifier: Apache-2.0
// Packets as they are at tc and not at XDP: with checksums that are left to a device, and
// segments that the network layers have put together.
#include <linux/pkt_cls.h>
#include <netinet/in.h>

#include "dataplane/checksum.h"
#include "tests/bpf/server/serving.h"

namespace trap::test {
namespace {

constexpr char program[] = "trap_server_tc";
constexpr std::size_t checksum_at = 16; // in a TCP header

class AtTc : public Serving {
protected:
  std::size_t l4() const { return GetParam() == 4 ? 34 : 54; }

  std::uint64_t pseudo_sum(const Bytes& frame) const {
    const trap_address here = constants_.address("here", GetParam()).value;
    return trap_sum_pseudo(&here, &here, static_cast<__u32>(GetParam()),
                           static_cast<__u32>(frame.size() - l4()));
  }

  std::uint16_t checksum_of(const Bytes& frame) const {
    std::uint16_t checksum;
    std::memcpy(&checksum, &frame.at(l4() + checksum_at), sizeof(checksum));
    return checksum;
  }

  void set_checksum(Bytes& frame, std::uint16_t checksum) const {
    std::memcpy(&frame.at(l4() + checksum_at), &checksum, sizeof(checksum));
  }

  // 0 if the checksum is right.
  std::uint16_t fault_of(const Bytes& frame) const {
    return trap_sum_fold(pseudo_sum(frame) +
                         trap_sum_bytes(&frame.at(l4()), static_cast<__u32>(frame.size() - l4())));
  }

  // As a sender leaves it whose device is to go on.
  std::uint16_t left_checksum(const Bytes& frame) const {
    return static_cast<std::uint16_t>(~trap_sum_fold(pseudo_sum(frame)));
  }

  Bytes syn(const Json& changes = Json::object()) const {
    Json tcp = {{"seq", serving_isn}, {"options", linux_options()}};
    tcp.update(changes);
    return build(packet(40000, tcp));
  }

  Bytes answer_to_frame(const Bytes& frame, const __sk_buff& skb = {}) const {
    const Outcome outcome = server_->run(program, frame, 1, skb);
    EXPECT_EQ(outcome.action, static_cast<std::uint32_t>(TC_ACT_REDIRECT));
    EXPECT_EQ(outcome.skb.gso_segs, 0U) << "the answer is one segment";
    return outcome.frame;
  }
};

TEST_P(AtTc, an_answer_has_its_whole_checksum) {
  const Bytes answer = answer_to_frame(syn());
  EXPECT_EQ(fault_of(answer), 0);
  EXPECT_NE(checksum_of(answer), left_checksum(answer));
}

// The device would add its sum to a whole one.
TEST_P(AtTc, an_answer_leaves_its_checksum_to_the_device_that_the_request_left_it_to) {
  Bytes request = syn();
  set_checksum(request, left_checksum(request));
  const Bytes answer = answer_to_frame(request);
  EXPECT_EQ(checksum_of(answer), left_checksum(answer));
}

// One in 65,536 right checksums is that of the pseudo-header.
TEST_P(AtTc, a_right_checksum_may_look_like_one_that_is_left) {
  constexpr std::size_t window_at = 14;
  Bytes request = syn();
  for (std::uint32_t window = 0; window <= UINT16_MAX; window++) {
    request.at(l4() + window_at) = static_cast<std::uint8_t>(window >> 8);
    request.at(l4() + window_at + 1) = static_cast<std::uint8_t>(window);
    set_checksum(request, 0);
    set_checksum(request, fault_of(request));
    if (checksum_of(request) == left_checksum(request))
      break;
  }
  ASSERT_EQ(checksum_of(request), left_checksum(request));
  ASSERT_EQ(fault_of(request), 0);
  EXPECT_EQ(fault_of(answer_to_frame(request)), 0);
}

TEST_P(AtTc, segments_put_together_get_the_answer_of_one) {
  __sk_buff several = {};
  several.gso_segs = 2;
  several.gso_size = 1000;
  const Bytes answer = answer_to_frame(syn(), several);
  EXPECT_EQ(fault_of(answer), 0);
}

// More than 65,535 bytes have no number in the IP header (BIG TCP).
TEST_P(AtTc, segments_put_together_may_be_longer_than_they_can_say) {
  Bytes frame = build(packet(40000, {{"flags", "A"}, {"seq", 7}, {"ack", 7}}));
  const std::size_t length_at = GetParam() == 4 ? 16 : 18;
  frame[length_at] = frame[length_at + 1] = 0;
  if (GetParam() == 6) { // RFC 2675: a hop-by-hop option holds the length
    constexpr std::uint8_t jumbo[] = {IPPROTO_TCP, 0, 0xc2, 4, 0, 1, 0, 0};
    frame[20] = IPPROTO_HOPOPTS;
    frame.insert(frame.begin() + 54, std::begin(jumbo), std::end(jumbo));
  }
  frame.resize(1500);
  EXPECT_EQ(server_->run(program, frame).action, static_cast<std::uint32_t>(TC_ACT_SHOT));
  __sk_buff several = {};
  several.gso_segs = 2;
  several.gso_size = 1000;
  EXPECT_EQ(server_->run(program, frame, 1, several).action,
            static_cast<std::uint32_t>(TC_ACT_UNSPEC));
}

INSTANTIATE_TEST_SUITE_P(Families, AtTc, testing::Values(4, 6),
                         [](const auto& of) { return "ipv" + std::to_string(of.param); });

} // namespace
} // namespace trap::test
