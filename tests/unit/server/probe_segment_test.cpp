// SPDX-License-Identifier: Apache-2.0
// The SYN of a probe byte by byte, and answers of every kind, right and wrong.
#include <gtest/gtest.h>

#include "server/daemon/serving/probe_segment.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

using server::ListenerAnswer;
using server::ProbeReply;
using server::ProbeSyn;

constexpr ProbeSyn syn = {.source_port = 40001, .sequence = 0xfffffffe, .timestamp = 0x01020304};

Endpoint listener_of(int family) {
  return {*parse_address(family == 4 ? "203.0.113.10" : "2001:db8:113::10"), 80};
}

// An answer described as fixtures are: numbers that are right unless `tcp` says otherwise.
Bytes reply(const Json& tcp, int family) {
  Json merged = {{"sport", 80},       {"dport", 40001}, {"seq", 77},
                 {"ack", 0xffffffff}, {"flags", "SA"},  {"window", 65535}};
  merged.update(tcp);
  const std::string address = format_address(listener_of(family).address);
  const TestConstants constants;
  const Bytes frame = build_packet({{"ip", {{"src", address}, {"dst", address}}}, {"tcp", merged}},
                                   family, constants);
  return {frame.begin() + 14 + (family == 4 ? 20 : 40), frame.end()};
}

ProbeReply read(const Bytes& segment, int family, ListenerAnswer& answer) {
  const Endpoint listener = listener_of(family);
  return server::read_reply(
      listener, syn,
      read_segment(listener.address, listener.address, segment.data(), segment.size()), answer);
}

TEST(ProbeSegment, is_a_syn_as_linux_sends_it) {
  for (const int family : {4, 6}) {
    const std::string address = format_address(listener_of(family).address);
    const std::string mss = family == 4 ? "05b4" : "05a0";
    const Json tcp = {{"sport", 40001},
                      {"seq", 0xfffffffe},
                      {"flags", "S"},
                      {"window", 64240},
                      {"options", {{{"hex", "0204" + mss + "0402080a010203040000000001030307"}}}}};
    const TestConstants constants;
    const Bytes frame = build_packet({{"ip", {{"src", address}, {"dst", address}}}, {"tcp", tcp}},
                                     family, constants);
    const Bytes wanted(frame.begin() + 14 + (family == 4 ? 20 : 40), frame.end());
    EXPECT_EQ(difference(wanted, server::build_probe(listener_of(family), syn)), "") << family;
  }
}

TEST(ProbeSegment, reads_what_a_listener_says) {
  for (const int family : {4, 6}) {
    ListenerAnswer answer;
    EXPECT_EQ(
        read(reply({{"options", {{{"hex", "0204ffd70402080a0000000a0102030401030309"}}}}}, family),
             family, answer),
        ProbeReply::syn_ack);
    EXPECT_EQ(answer, (ListenerAnswer{.answers = true,
                                      .mss = 65495,
                                      .window = 65535,
                                      .window_scale = 9,
                                      .sack = true,
                                      .timestamps = true}));
    EXPECT_EQ(
        read(reply({{"window", 1000}, {"options", {{{"mss", 1460}}}}}, family), family, answer),
        ProbeReply::syn_ack);
    EXPECT_EQ(answer, (ListenerAnswer{.answers = true, .mss = 1460, .window = 1000}));
    EXPECT_EQ(read(reply(Json::object(), family), family, answer), ProbeReply::syn_ack);
    EXPECT_EQ(answer, (ListenerAnswer{.answers = true, .mss = 536, .window = 65535}));
    EXPECT_EQ(read(reply({{"flags", "RA"}}, family), family, answer), ProbeReply::reset);
    EXPECT_EQ(answer, ListenerAnswer{});
  }
}

TEST(ProbeSegment, believes_nothing_else) {
  const Json others[] = {{{"sport", 81}},       {{"dport", 40002}}, {{"ack", 0}},
                         {{"ack", 0xfffffffe}}, {{"flags", "S"}},   {{"flags", "A"}},
                         {{"flags", "R"}},      {{"flags", "FA"}},  {{"data_offset", 4}},
                         {{"data_offset", 15}}, {{"flags", 0}}};
  for (const Json& other : others) {
    for (const int family : {4, 6}) {
      ListenerAnswer answer = {.answers = true, .mss = 1};
      EXPECT_EQ(read(reply(other, family), family, answer), ProbeReply::none) << other;
      EXPECT_EQ(answer.mss, 1) << other;
    }
  }
}

TEST(ProbeSegment, reads_not_behind_the_end) {
  const Bytes whole =
      reply({{"options", {{{"hex", "0204ffd70402080a0000000a0102030401030309"}}}}}, 4);
  for (std::size_t bytes = 0; bytes < whole.size(); bytes++) {
    const Bytes part(
        whole.begin(),
        whole.begin() + static_cast<std::ptrdiff_t>(bytes)); // ends where its memory does, for ASan
    ListenerAnswer answer;
    EXPECT_EQ(read(part, 4, answer), ProbeReply::none) << bytes;
  }
}

} // namespace
} // namespace trap::test
