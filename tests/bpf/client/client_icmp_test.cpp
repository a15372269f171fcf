// SPDX-License-Identifier: Apache-2.0
// ICMP at the client: errors about a redirected connection are translated, the packet that they
// quote and their own addresses, and every checksum is that of a message which was made so; all
// other ICMP passes as it is.
#include <set>

#include <gtest/gtest.h>

#include "client/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::size_t l2 = 14;
constexpr std::uint8_t icmpv4 = 1, icmpv6 = 58;

struct Ends {
  std::string source, destination;
  int source_port = 40000, destination_port = 80;
};

struct Message {
  std::string source, destination;
  std::uint8_t type = 0, code = 0;
  Ends quoted;
  std::size_t quoted_bytes = 20; // of its TCP segment
  std::string quoted_seq = "$isn+1";
};

class ClientAndIcmp : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    client_ = &fresh_object(part_under_test(), constants_);
    put("to_backend",
        R"({"local": "client", "remote": "public", "local_port": 40000, "remote_port": 80, "backend": "backend", "backend_port": 8080, "syns": 1, "isn": "$isn"})");
    put("to_public",
        R"({"local": "client", "remote": "backend", "local_port": 40000, "remote_port": 8080, "service": "public", "port": 80})");
  }

  void put(const std::string& map, const char* entry) {
    const DescribedEntry described =
        describe_entry(map, Json::parse(entry), GetParam(), constants_, 0);
    client_->put(map, described.key, described.value);
  }

  void put_pending(int state, int connect) {
    Json syn = Json::parse(
        R"({"local": "client", "remote": "public", "local_port": 40000, "remote_port": 80, "isn": "$isn", "flags": 2, "hops": 64})");
    syn["state"] = state;
    syn["connect"] = connect;
    put("pending", syn.dump().c_str());
  }

  bool v4() const { return GetParam() == 4; }
  std::size_t ip_bytes() const { return v4() ? 20 : 40; }
  std::uint8_t type(std::uint8_t in_v4, std::uint8_t in_v6) const { return v4() ? in_v4 : in_v6; }

  Bytes quoted(const Message& message) const {
    const Json packet = {
        {"ip", {{"src", message.quoted.source}, {"dst", message.quoted.destination}}},
        {"tcp",
         {{"sport", message.quoted.source_port},
          {"dport", message.quoted.destination_port},
          {"seq", message.quoted_seq},
          {"flags", "A"}}},
        {"payload", 300}};
    const Bytes frame = build_packet(packet, GetParam(), constants_);
    const std::size_t end = std::min(frame.size(), l2 + ip_bytes() + message.quoted_bytes);
    return {frame.begin() + l2, frame.begin() + static_cast<std::ptrdiff_t>(end)};
  }

  void set16(Bytes& bytes, std::size_t at, std::size_t value) const {
    bytes[at] = static_cast<std::uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<std::uint8_t>(value);
  }

  // The IP header of `frame` with another protocol and length, and a right checksum.
  void finish_ip(Bytes& frame) const {
    if (v4()) {
      frame[l2 + 9] = icmpv4;
      set16(frame, l2 + 2, frame.size() - l2);
      set16(frame, l2 + 10, 0);
      set16(frame, l2 + 10, internet_checksum({frame.begin() + l2, frame.begin() + l2 + 20}));
    } else {
      frame[l2 + 6] = icmpv6;
      set16(frame, l2 + 4, frame.size() - l2 - 40);
    }
  }

  Bytes frame_of(const Message& message) const {
    const Json packet = {{"ip", {{"src", message.source}, {"dst", message.destination}}},
                         {"tcp", {{"flags", "A"}}}};
    Bytes frame = build_packet(packet, GetParam(), constants_);
    const std::size_t icmp = l2 + ip_bytes();
    frame.resize(icmp);
    frame.insert(frame.end(), {message.type, message.code, 0, 0, 0, 0, 5, 0x14});
    const Bytes body = quoted(message);
    frame.insert(frame.end(), body.begin(), body.end());
    finish_ip(frame);
    Bytes summed;
    if (!v4()) { // RFC 4443 2.3
      summed.assign(frame.begin() + l2 + 8, frame.begin() + l2 + 40);
      const std::size_t bytes = frame.size() - icmp;
      summed.insert(summed.end(), {0, 0, static_cast<std::uint8_t>(bytes >> 8),
                                   static_cast<std::uint8_t>(bytes), 0, 0, 0, icmpv6});
    }
    summed.insert(summed.end(), frame.begin() + static_cast<std::ptrdiff_t>(icmp), frame.end());
    set16(frame, icmp + 2, internet_checksum(summed));
    return frame;
  }

  // What the programs for interfaces without a link layer see of a frame.
  static Bytes seen_by(const std::string& program, const Bytes& frame) {
    return program.ends_with("_ip") ? Bytes{frame.begin() + l2, frame.end()} : frame;
  }

  void expect(const std::string& program, const Bytes& in, trap_verdict verdict, const Bytes& out,
              const std::string& what) {
    const auto before = client_->counters(0);
    const Outcome outcome = client_->run(program, seen_by(program, in));
    EXPECT_EQ(client_->counters(0)[verdict] - before[verdict], 1u) << what;
    EXPECT_EQ(difference(seen_by(program, out), outcome.frame), "") << what;
  }

  void expect_untouched(const std::string& program, const Bytes& frame, const std::string& what) {
    expect(program, frame, TRAP_PASS_OTHER, frame, what);
  }

  // An error about what this host sent to the service, and what its stack must see.
  Message to_client(std::uint8_t kind, std::uint8_t code) const {
    return {"stranger", "client", kind, code, {"client", "backend", 40000, 8080}};
  }
  static Message as_dialled(Message message) {
    message.quoted.destination = "public";
    message.quoted.destination_port = 80;
    if (message.source == "backend")
      message.source = "public";
    return message;
  }

  const TestConstants constants_;
  Object* client_ = nullptr;
};

TEST_P(ClientAndIcmp, errors_about_a_redirected_connection_reach_its_socket) {
  for (const std::uint8_t kind : {type(3, 1), type(3, 2), type(11, 3), type(12, 4)})
    for (const std::uint8_t code : {0, 1, 4})
      for (const std::size_t bytes : {8, 16, 18, 20, 320})
        for (const char* source : {"stranger", "backend"}) {
          Message message = to_client(kind, code);
          message.source = source;
          message.quoted_bytes = bytes;
          expect("trap_client_ingress", frame_of(message), TRAP_PASS_ICMP_TRANSLATED,
                 frame_of(as_dialled(message)),
                 "type " + std::to_string(kind) + ", " + std::to_string(bytes) +
                     " bytes quoted, from " + source);
        }
}

TEST_P(ClientAndIcmp, errors_about_segments_of_the_service_reach_it) {
  for (const std::size_t bytes : {8, 20, 320}) {
    Message message = {"client", "public", type(3, 2), type(4, 0), {"public", "client", 80, 40000}};
    message.quoted_bytes = bytes;
    Message translated = message;
    translated.destination = translated.quoted.source = "backend";
    translated.quoted.source_port = 8080;
    expect("trap_client_egress", frame_of(message), TRAP_PASS_ICMP_TRANSLATED, frame_of(translated),
           std::to_string(bytes) + " bytes quoted");
  }
}

// At a LAN's interface the hooks change places: answers leave there.
TEST_P(ClientAndIcmp, errors_are_translated_at_every_kind_of_interface) {
  const std::pair<const char*, const char*> kinds[] = {
      {"trap_client_ingress_ip", "trap_client_egress_ip"},
      {"trap_client_egress_lan", "trap_client_ingress_lan"},
      {"trap_client_egress_lan_ip", "trap_client_ingress_lan_ip"}};
  put("to_backend",
      R"({"local": "client", "remote": "public", "local_port": 40000, "remote_port": 80, "side": 1, "backend": "backend", "backend_port": 8080, "syns": 1, "isn": "$isn"})");
  put("to_public",
      R"({"local": "client", "remote": "backend", "local_port": 40000, "remote_port": 8080, "side": 1, "service": "public", "port": 80})");
  const Message narrow = to_client(type(3, 2), type(4, 0));
  const Message answer = {"client", "public", type(3, 1), 0, {"public", "client", 80, 40000}};
  Message answered = answer;
  answered.destination = answered.quoted.source = "backend";
  answered.quoted.source_port = 8080;
  for (const auto& [inward, outward] : kinds) {
    expect(inward, frame_of(narrow), TRAP_PASS_ICMP_TRANSLATED, frame_of(as_dialled(narrow)),
           inward);
    expect(outward, frame_of(answer), TRAP_PASS_ICMP_TRANSLATED, frame_of(answered), outward);
    expect_untouched(outward, frame_of(narrow), outward);
  }
}

// Maps hold IPv4 addresses as IPv4-mapped ones: an IPv6 error must not end an IPv4 connection.
TEST_P(ClientAndIcmp, mapped_addresses_are_no_connection_of_the_ipv4_host_that_they_name) {
  if (v4())
    GTEST_SKIP() << "IPv4 has no mapped addresses";
  put("to_public",
      R"({"local": "192.0.2.2", "remote": "198.51.100.20", "local_port": 40000, "remote_port": 8080, "service": "203.0.113.10", "port": 80})");
  Message message = to_client(2, 0);
  message.quoted.source = "::ffff:192.0.2.2";
  message.quoted.destination = "::ffff:198.51.100.20";
  expect_untouched("trap_client_ingress", frame_of(message), "of an IPv4 connection");
}

// A connection that another local port stands for on the wire: the quoted port follows, and the
// checksums as far as they are quoted.
TEST_P(ClientAndIcmp, errors_about_a_connection_in_another_lane_are_translated_too) {
  put("to_backend",
      R"({"local": "client", "remote": "stranger", "local_port": 40000, "remote_port": 80, "backend": "backend", "backend_port": 8080, "flags": 128, "syns": 1, "isn": "$isn"})");
  put("to_public",
      R"({"local": "client", "remote": "backend", "local_port": 7232, "remote_port": 8080, "service": "stranger", "port": 80, "flags": 128})");
  for (const std::size_t bytes : {8, 18, 20, 320}) {
    Message message = {
        "backend", "client", type(3, 2), type(4, 0), {"client", "backend", 7232, 8080}};
    message.quoted_bytes = bytes;
    Message seen = message;
    seen.source = seen.quoted.destination = "stranger";
    seen.quoted.source_port = 40000;
    seen.quoted.destination_port = 80;
    expect("trap_client_ingress", frame_of(message), TRAP_PASS_ICMP_TRANSLATED, frame_of(seen),
           std::to_string(bytes) + " bytes, inward");
    Message answer = {"client", "stranger", type(3, 1), 0, {"stranger", "client", 80, 40000}};
    answer.quoted_bytes = bytes;
    Message sent = answer;
    sent.destination = sent.quoted.source = "backend";
    sent.quoted.source_port = 8080;
    sent.quoted.destination_port = 7232;
    expect("trap_client_egress", frame_of(answer), TRAP_PASS_ICMP_TRANSLATED, frame_of(sent),
           std::to_string(bytes) + " bytes, outward");
  }
}

TEST_P(ClientAndIcmp, whatever_is_about_another_connection_passes_as_it_is) {
  const std::uint8_t unreachable = type(3, 1);
  Message message = to_client(unreachable, 0);
  message.quoted.source_port = 40001;
  expect_untouched("trap_client_ingress", frame_of(message), "of another port");
  message = to_client(unreachable, 0);
  message.quoted.destination = "stranger";
  expect_untouched("trap_client_ingress", frame_of(message), "of another host");
  message = to_client(unreachable, 0);
  std::swap(message.quoted.source, message.quoted.destination);
  expect_untouched("trap_client_ingress", frame_of(message), "the wrong way round");
  expect_untouched("trap_client_egress", frame_of(to_client(unreachable, 0)), "at the wrong hook");
  for (const std::uint8_t query : {type(8, 128), type(0, 129), type(13, 135), type(5, 137)})
    expect_untouched("trap_client_ingress", frame_of(to_client(query, 0)), "a query");
}

TEST_P(ClientAndIcmp, an_error_that_quotes_too_little_passes_as_it_is) {
  const Bytes whole = frame_of(to_client(type(3, 1), 0));
  const std::size_t ports = l2 + 2 * ip_bytes() + 8 + 4;
  for (std::size_t bytes = l2 + ip_bytes(); bytes < ports; bytes++) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
    expect_untouched("trap_client_ingress", cut, std::to_string(bytes) + " bytes");
  }
}

TEST_P(ClientAndIcmp, a_wrong_checksum_stays_wrong) {
  Bytes in = frame_of(to_client(type(3, 1), 0)),
        out = frame_of(as_dialled(to_client(type(3, 1), 0)));
  in[l2 + ip_bytes() + 7] ^= 1; // of what the message says besides
  out[l2 + ip_bytes() + 7] ^= 1;
  expect("trap_client_ingress", in, TRAP_PASS_ICMP_TRANSLATED, out, "damaged");
}

// The stack would give the connect up: the TRAP server is asked for another backend instead.
TEST_P(ClientAndIcmp, a_backend_that_cannot_be_reached_is_given_up_at_once) {
  Message message = to_client(type(3, 1), 1);
  const auto begins = [&] {
    put("to_backend",
        R"({"local": "client", "remote": "public", "local_port": 40000, "remote_port": 80, "backend": "backend", "backend_port": 8080, "syns": 1, "isn": "$isn"})");
    put("to_public",
        R"({"local": "client", "remote": "backend", "local_port": 40000, "remote_port": 8080, "service": "public", "port": 80})");
  };
  const Bytes again =
      build_packet({{"tcp", {{"seq", "$isn"}, {"window", 0}}}}, GetParam(), constants_);
  for (const int state : {3, 4})
    for (const int asked_again : {0, 2})
      for (const bool too_big : {false, true})
        for (const std::string seq : {"$isn", "$isn+1"}) {
          begins();
          put_pending(state, asked_again);
          message = too_big ? to_client(type(3, 2), type(4, 0)) : to_client(type(3, 1), 1);
          message.quoted_seq = seq;
          if (state == 3 && asked_again == 0 && !too_big && seq == "$isn")
            expect("trap_client_ingress", frame_of(message), TRAP_REPLY_SYN_AGAIN, again,
                   "a SYN in vain");
          else
            expect("trap_client_ingress", frame_of(message), TRAP_PASS_ICMP_TRANSLATED,
                   frame_of(as_dialled(message)),
                   "state " + std::to_string(state) + ", seq " + seq);
        }
}

// Every error ends the connect's way to the service. The backend is to blame only if it would be
// for any other SYN of this host.
TEST_P(ClientAndIcmp, what_a_router_holds_against_one_syn_is_not_held_against_the_backend) {
  const std::set<std::pair<int, int>> blaming =
      v4() ? std::set<std::pair<int, int>>{{3, 0}, {3, 1}, {3, 2},  {3, 3},  {3, 6}, {3, 7},
                                           {3, 8}, {3, 9}, {3, 10}, {3, 13}, {11, 0}}
           : std::set<std::pair<int, int>>{{1, 0}, {1, 1}, {1, 2}, {1, 3},
                                           {1, 4}, {1, 5}, {1, 6}, {3, 0}};
  const DescribedEntry redirect = describe_entry("redirects", Json::parse(R"({"local": "client",
      "service": "public", "port": 80, "backend": "backend", "backend_port": 8080, "in_s": 600,
      "ticket": "$ticket.valid"})"),
                                                 GetParam(), constants_, 0);
  for (const int kind : v4() ? std::vector{3, 11, 12} : std::vector{1, 3, 4, 100})
    for (int code = 0; code < 20; code++) {
      if (v4() && kind == 3 && code == 4)
        continue; // too big
      SetUp();
      put_pending(3, 0);
      client_->put("redirects", redirect.key, redirect.value);
      Message message = to_client(static_cast<std::uint8_t>(kind), static_cast<std::uint8_t>(code));
      message.quoted_seq = "$isn";
      const std::string what = "type " + std::to_string(kind) + ", code " + std::to_string(code);
      const auto before = client_->counters(0);
      client_->run("trap_client_ingress", frame_of(message));
      EXPECT_EQ(client_->counters(0)[TRAP_REPLY_SYN_AGAIN] - before[TRAP_REPLY_SYN_AGAIN], 1u)
          << what;
      const bool blames = blaming.contains({kind, code});
      EXPECT_EQ(client_->entries("redirects").empty(), blames) << what;
      EXPECT_EQ(client_->entries("fallbacks").empty(), !blames) << what;
    }
}

INSTANTIATE_TEST_SUITE_P(Families, ClientAndIcmp, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
