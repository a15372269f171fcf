// SPDX-License-Identifier: Apache-2.0
// Frames that are for another host's Ethernet address: an interface that is promiscuous shows them,
// and they get no answer, whatever would have been answered.
#include <gtest/gtest.h>

#include <algorithm>

#include "server/daemon/watch/own_macs.h"
#include "tests/bpf/server/serving.h"

namespace trap::test {
namespace {

const LinkAddress own_mac = {2, 0, 0, 0, 7, 1};
const LinkAddress other_host = {2, 0, 0, 0, 7, 2};

class OtherMacs : public Serving {
protected:
  void know(const std::set<LinkAddress>& macs) {
    auto map = server_->get<trap_own_macs>("own_macs", std::uint32_t{0});
    keeper_.follow(map, macs);
    server_->put("own_macs", std::uint32_t{0}, map);
  }
  void know_nothing() {
    auto map = server_->get<trap_own_macs>("own_macs", std::uint32_t{0});
    keeper_.follow(map, Error{"no list"});
    server_->put("own_macs", std::uint32_t{0}, map);
  }

  std::string verdict_to(const LinkAddress& to, Json json, Bytes* out = nullptr) {
    json["eth"] = {{"dst", text_of(to)}};
    return verdict_of(json, out);
  }

  static std::string text_of(const LinkAddress& mac) {
    std::string text;
    for (const std::uint8_t byte : mac) {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%s%02x", text.empty() ? "" : ":", byte);
      text += hex;
    }
    return text;
  }

  // Of a service that resets.
  Json redirected(const Json& tcp) const {
    Json json = {{"tcp", {{"sport", 40000}, {"seq", serving_isn}}}};
    json["tcp"].update(tcp);
    return json;
  }

  server::OwnMacs keeper_;
};

TEST_P(OtherMacs, get_no_answer_to_a_syn) {
  for (const Json& syn : {redirected(Json::object()), packet(40000, {{"seq", serving_isn}})})
    for (const int tags : {0, 1, 2}) {
      Json tagged = syn;
      tagged["vlan"] = tags;
      know_nothing();
      EXPECT_EQ(verdict_to(other_host, tagged), "reply-syn-ack") << "nothing is known";
      know({own_mac});
      EXPECT_EQ(verdict_to(own_mac, tagged), "reply-syn-ack");
      Bytes out;
      EXPECT_EQ(verdict_to(other_host, tagged, &out), "pass-other-mac");
      tagged["eth"] = {{"dst", text_of(other_host)}};
      EXPECT_EQ(out, build(tagged)) << "it was changed";
      know({own_mac, other_host});
      EXPECT_EQ(verdict_to(other_host, tagged), "reply-syn-ack")
          << "VRRP gave the address to this host";
    }
}

TEST_P(OtherMacs, get_no_answer_to_a_completing_ack) {
  Bytes frame;
  know({own_mac});
  ASSERT_EQ(verdict_to(own_mac, redirected(Json::object()), &frame), "reply-syn-ack");
  const Answer resets(frame, GetParam());
  const Json ack = redirected(
      {{"flags", "A"}, {"seq", serving_isn + 1}, {"ack", std::uint32_t{resets.seq + 1}}});
  EXPECT_EQ(verdict_to(other_host, ack), "pass-other-mac");
  EXPECT_EQ(verdict_to(own_mac, ack), "reply-redirect");
  const Socket listener = listen_on(GetParam(), plain_port);
  ASSERT_EQ(verdict_to(
                own_mac,
                packet(40000,
                       {{"seq", serving_isn}, {"options", linux_options()}, {"dport", plain_port}}),
                &frame),
            "reply-syn-ack");
  const Json served = completing(40000, Answer(frame, GetParam()), {{"dport", plain_port}});
  EXPECT_EQ(verdict_to(other_host, served), "pass-other-mac");
  EXPECT_EQ(verdict_to(own_mac, served), "pass-cookie");
}

TEST_P(OtherMacs, are_none_of_many_that_this_host_has) {
  std::set<LinkAddress> many;
  for (int i = 0; i < 500; i++)
    many.insert({2, 0, 0, 9, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
  know(many);
  const Json syn = packet(40000, {{"seq", serving_isn}});
  for (const LinkAddress& mac : many)
    ASSERT_EQ(verdict_to(mac, syn), "reply-syn-ack") << text_of(mac);
  for (int i = 500; i < 1000; i++)
    ASSERT_EQ(
        verdict_to({2, 0, 0, 9, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)},
                   syn),
        "pass-other-mac");
}

INSTANTIATE_TEST_SUITE_P(Families, OtherMacs, testing::Values(4, 6));

} // namespace
} // namespace trap::test
