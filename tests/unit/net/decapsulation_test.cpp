// SPDX-License-Identifier: Apache-2.0
// Packets that the host takes out of others by itself: by the kernel's messages, made byte by byte,
// and by a host that has it, as far as this kernel can.
#include "runtime/net/decapsulation.h"

#include <cstdlib>
#include <cstring>

#include <gmock/gmock.h>
#include <linux/lwtunnel.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>

#include "tests/unit/server/own_network.h"

namespace trap {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Message {
public:
  template <class Body> Message(std::uint16_t type, const Body& body) : bytes_(sizeof(nlmsghdr)) {
    header()->nlmsg_type = type;
    append(&body, sizeof(body));
  }

  template <class Value> Message& with(std::uint16_t type, const Value& value) {
    const rtattr attribute = {static_cast<unsigned short>(RTA_LENGTH(sizeof(value))), type};
    append(&attribute, sizeof(attribute));
    append(&value, sizeof(value));
    return *this;
  }
  Message& with_bytes(std::uint16_t type, const std::vector<char>& bytes) {
    const rtattr attribute = {static_cast<unsigned short>(RTA_LENGTH(bytes.size())), type};
    append(&attribute, sizeof(attribute));
    append(bytes.data(), bytes.size());
    return *this;
  }

  // As far as this many bytes.
  nlmsghdr* cut(std::size_t bytes) {
    header()->nlmsg_len = static_cast<__u32>(bytes);
    return header();
  }
  nlmsghdr* whole() { return cut(bytes_.size()); }
  std::size_t size() const { return bytes_.size(); }

private:
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }
  void append(const void* data, std::size_t bytes) {
    const auto* at = static_cast<const char*>(data);
    bytes_.insert(bytes_.end(), at, at + bytes);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }

  std::vector<char> bytes_;
};

Message route(std::uint16_t type = RTM_NEWROUTE) {
  rtmsg body = {};
  body.rtm_family = AF_INET6;
  return {type, body};
}

// Two next hops, of which the second has this encapsulation.
std::vector<char> next_hops(std::uint16_t encapsulation) {
  const rtattr attribute = {RTA_LENGTH(sizeof(encapsulation)), RTA_ENCAP_TYPE};
  rtnexthop plain = {};
  plain.rtnh_len = sizeof(plain);
  rtnexthop hop = {};
  hop.rtnh_len = sizeof(hop) + RTA_SPACE(sizeof(encapsulation));
  std::vector<char> bytes(plain.rtnh_len + hop.rtnh_len);
  std::memcpy(bytes.data(), &plain, sizeof(plain));
  char* at = bytes.data() + plain.rtnh_len;
  std::memcpy(at, &hop, sizeof(hop));
  std::memcpy(at + sizeof(hop), &attribute, sizeof(attribute));
  std::memcpy(at + sizeof(hop) + sizeof(attribute), &encapsulation, sizeof(encapsulation));
  return bytes;
}

TEST(Seg6Local, is_a_route_with_that_encapsulation_or_with_such_a_next_hop) {
  const std::uint16_t local = LWTUNNEL_ENCAP_SEG6_LOCAL, other = LWTUNNEL_ENCAP_SEG6;
  EXPECT_FALSE(is_seg6local_route(*route().whole()));
  EXPECT_TRUE(is_seg6local_route(*route().with(RTA_ENCAP_TYPE, local).whole()));
  EXPECT_FALSE(is_seg6local_route(*route().with(RTA_ENCAP_TYPE, other).whole()))
      << "packets that leave are put into SRv6";
  EXPECT_TRUE(is_seg6local_route(*route().with_bytes(RTA_MULTIPATH, next_hops(local)).whole()));
  EXPECT_FALSE(is_seg6local_route(*route().with_bytes(RTA_MULTIPATH, next_hops(other)).whole()));
  EXPECT_FALSE(is_seg6local_route(*route(RTM_DELROUTE).with(RTA_ENCAP_TYPE, local).whole()));
}

TEST(Seg6Local, is_no_message_that_ends_early) {
  Message message = route().with_bytes(RTA_MULTIPATH, next_hops(LWTUNNEL_ENCAP_SEG6_LOCAL));
  for (std::size_t bytes = sizeof(nlmsghdr); bytes < message.size(); bytes++)
    EXPECT_FALSE(is_seg6local_route(*message.cut(bytes))) << bytes;
  std::vector<char> lies = next_hops(LWTUNNEL_ENCAP_SEG6_LOCAL);
  lies[0] = 0; // a next hop of no length
  EXPECT_FALSE(is_seg6local_route(*route().with_bytes(RTA_MULTIPATH, lies).whole()));
  lies[0] = 127; // longer than the rest
  EXPECT_FALSE(is_seg6local_route(*route().with_bytes(RTA_MULTIPATH, lies).whole()));
}

Message policy(std::uint8_t direction, std::uint8_t action = XFRM_POLICY_ALLOW) {
  xfrm_userpolicy_info info = {};
  info.dir = direction;
  info.action = action;
  return {XFRM_MSG_NEWPOLICY, info};
}

TEST(Ipsec, is_a_state_that_no_xfrm_interface_takes) {
  const xfrm_usersa_info state = {};
  EXPECT_TRUE(is_ipsec_way(*Message(XFRM_MSG_NEWSA, state).whole()));
  EXPECT_TRUE(is_ipsec_way(*Message(XFRM_MSG_NEWSA, state).with(XFRMA_IF_ID, __u32{0}).whole()));
  EXPECT_FALSE(is_ipsec_way(*Message(XFRM_MSG_NEWSA, state).with(XFRMA_IF_ID, __u32{7}).whole()));
  Message cut(XFRM_MSG_NEWSA, state);
  EXPECT_FALSE(is_ipsec_way(*cut.cut(cut.size() - 8)));
}

TEST(Ipsec, is_a_policy_for_packets_that_arrive_which_asks_for_it) {
  const xfrm_user_tmpl esp = {};
  for (const std::uint8_t direction : {XFRM_POLICY_IN, XFRM_POLICY_FWD}) {
    EXPECT_TRUE(is_ipsec_way(*policy(direction).with(XFRMA_TMPL, esp).whole()));
    EXPECT_FALSE(is_ipsec_way(*policy(direction).whole())) << "it asks for nothing";
    EXPECT_FALSE(is_ipsec_way(*policy(direction, XFRM_POLICY_BLOCK).with(XFRMA_TMPL, esp).whole()));
    EXPECT_FALSE(
        is_ipsec_way(*policy(direction).with(XFRMA_TMPL, esp).with(XFRMA_IF_ID, __u32{7}).whole()));
  }
  EXPECT_FALSE(is_ipsec_way(*policy(XFRM_POLICY_OUT).with(XFRMA_TMPL, esp).whole()));
}

class DecapsulationHere : public test::OwnNetwork {
protected:
  static bool ip(const std::string& words) {
    return std::system(("ip " + words + " 2>/dev/null").c_str()) == 0;
  }
  std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const Uncovered& way : Decapsulation().look()) {
      EXPECT_FALSE(way.is_harmless);
      EXPECT_THAT(way.reason, HasSubstr("the host "));
      found.push_back(way.interface);
    }
    return found;
  }
};

TEST_F(DecapsulationHere, of_a_host_that_has_none_is_nothing) {
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(DecapsulationHere, by_a_route_to_seg6local_is_found_and_gone_with_it) {
  if (!ip("-6 route add 2001:db8::1/128 encap seg6local action End dev lo"))
    GTEST_SKIP() << "this kernel has no seg6local";
  EXPECT_THAT(names(), ElementsAre("seg6local"));
  ASSERT_TRUE(ip("-6 route del 2001:db8::1/128"));
  EXPECT_THAT(names(), IsEmpty());
  ASSERT_TRUE(ip("-6 route add 2001:db8::1/128 table 77 encap seg6local action End dev lo"));
  EXPECT_THAT(names(), ElementsAre("seg6local")) << "in another table";
}

TEST_F(DecapsulationHere, by_ipsec_is_found_and_gone_with_it) {
  const std::string ends = "src 192.0.2.1 dst 192.0.2.2";
  if (!ip("xfrm policy add " + ends + " dir in tmpl proto esp mode tunnel"))
    GTEST_SKIP() << "this kernel has no IPsec";
  EXPECT_THAT(names(), ElementsAre("ipsec"));
  ASSERT_TRUE(ip("xfrm policy del " + ends + " dir in"));
  EXPECT_THAT(names(), IsEmpty());
  ASSERT_TRUE(ip("xfrm policy add " + ends + " dir out tmpl proto esp mode tunnel"));
  EXPECT_THAT(names(), IsEmpty()) << "packets that leave are encrypted";
  for (const std::string mode : {"transport", "tunnel"}) {
    if (!ip("xfrm state add " + ends + " proto esp spi 0x100 mode " + mode +
            " enc cipher_null '' auth digest_null ''"))
      continue; // this kernel has no ESP; the bytes of its messages are tested above
    EXPECT_THAT(names(), ElementsAre("ipsec"));
    ASSERT_TRUE(ip("xfrm state flush"));
    EXPECT_THAT(names(), IsEmpty());
  }
}

} // namespace
} // namespace trap
