// SPDX-License-Identifier: Apache-2.0
// ICMP at the guard: errors about a protected port pass only for flows, whatever else they claim;
// queries as configured; what IPv6 needs between neighbours always.
#include <gtest/gtest.h>

#include <algorithm>

#include <bpf/bpf.h>

#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::size_t l2 = 14;
constexpr std::uint8_t icmpv4 = 1, icmpv6 = 58;

class GuardAndIcmp : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    guard_ = &fresh_object(part_under_test(), constants_);
    for (const int family : {4, 6}) {
      const Json flow = {{"client", "client"},
                         {"service", "backend"},
                         {"client_port", 40000},
                         {"service_port", 80}};
      const DescribedEntry entry = describe_entry("flows", flow, family, constants_, 0);
      guard_->put("flows", entry.key, entry.value);
    }
  }

  std::size_t ip_bytes() const { return GetParam() == 4 ? 20 : 40; }

  // What the service sent to the client, as far as an error quotes it: from the IP header on.
  Bytes quoted(int service_port, int client_port, const char* client = "client") const {
    const Json packet = {
        {"ip", {{"src", "backend"}, {"dst", client}}},
        {"tcp", {{"sport", service_port}, {"dport", client_port}, {"flags", "A"}}}};
    const Bytes frame = build_packet(packet, GetParam(), constants_);
    return {frame.begin() + l2, frame.begin() + l2 + static_cast<std::ptrdiff_t>(ip_bytes()) + 8};
  }

  // An ICMP message from a router to the service's host.
  Bytes message(std::uint8_t type, const Bytes& body) const {
    const Json packet = {{"ip", {{"src", "stranger"}, {"dst", "backend"}}},
                         {"tcp", {{"flags", "A"}}}};
    Bytes frame = build_packet(packet, GetParam(), constants_);
    frame.resize(l2 + ip_bytes());
    if (GetParam() == 4)
      frame[l2 + 9] = icmpv4;
    else
      frame[l2 + 6] = icmpv6;
    frame.push_back(type);
    frame.resize(frame.size() + 7);
    frame.insert(frame.end(), body.begin(), body.end());
    return frame;
  }

  // A part of a message as a fragment of it.
  Bytes fragment(const Bytes& whole, std::size_t offset, std::size_t bytes, bool more) const {
    const std::size_t l4 = l2 + ip_bytes(), end = std::min(whole.size(), l4 + offset + bytes);
    Bytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(l4));
    if (GetParam() == 4) {
      const std::size_t word = offset / 8 | (more ? 0x2000 : 0);
      frame[l2 + 6] = static_cast<std::uint8_t>(word >> 8);
      frame[l2 + 7] = static_cast<std::uint8_t>(word);
    } else {
      const std::size_t word = offset | (more ? 1 : 0);
      frame[l2 + 6] = 44;
      const Bytes header = {
          icmpv6, 0, static_cast<std::uint8_t>(word >> 8), static_cast<std::uint8_t>(word), 0, 0,
          0,      1};
      frame.insert(frame.end(), header.begin(), header.end());
    }
    frame.insert(frame.end(), whole.begin() + static_cast<std::ptrdiff_t>(l4 + offset),
                 whole.begin() + static_cast<std::ptrdiff_t>(end));
    return frame;
  }

  // The verdict that a frame counts in this slot, and whether it passes.
  void expect(const Bytes& frame, std::uint32_t slot, trap_verdict verdict, const char* what) {
    const auto before = guard_->counters(slot);
    const Outcome outcome = guard_->run("trap_guard", frame);
    EXPECT_EQ(guard_->counters(slot)[verdict] - before[verdict], 1u) << what;
    EXPECT_EQ(outcome.action == XDP_PASS, trap_verdict_action(verdict) == TRAP_ACTION_PASS) << what;
  }

  void set_flags(__u32 flags) {
    auto settings = guard_->get<trap_guard_settings>("settings", std::uint32_t{0});
    settings.flags = flags;
    guard_->put("settings", std::uint32_t{0}, settings);
  }

  std::uint8_t type(std::uint8_t v4, std::uint8_t v6) const { return GetParam() == 4 ? v4 : v6; }

  const TestConstants constants_;
  Object* guard_ = nullptr;
};

TEST_P(GuardAndIcmp, errors_about_a_protected_port_are_of_a_flow_or_dropped) {
  const std::uint8_t unreachable = type(3, 1), too_big = type(3, 2), time_exceeded = type(11, 3),
                     parameter_problem = type(12, 4);
  for (const std::uint8_t error : {unreachable, too_big, time_exceeded, parameter_problem}) {
    expect(message(error, quoted(80, 40000)), 1, TRAP_PASS_ICMP_FLOW, "of the flow");
    expect(message(error, quoted(80, 40001)), 1, TRAP_DROP_ICMP_NO_FLOW,
           "of another port of the client");
    expect(message(error, quoted(80, 40000, "stranger")), 1, TRAP_DROP_ICMP_NO_FLOW,
           "of another client");
    expect(message(error, quoted(81, 40000)), 2, TRAP_DROP_ICMP_NO_FLOW, "of another service");
    expect(message(error, quoted(83, 40000)), 3, TRAP_DROP_ICMP_NO_FLOW,
           "of a service whose sockets are elsewhere");
    expect(message(error, quoted(22, 40000)), 0, TRAP_PASS_OTHER,
           "of a port that is not protected");
  }
}

// As many extension headers as are followed, around the message or in what it quotes. What follows
// more is no longer looked at: such a packet is refused whatever it carries.
TEST_P(GuardAndIcmp, errors_hide_behind_no_extension_header) {
  if (GetParam() == 4)
    GTEST_SKIP() << "IPv4 has no extension headers";
  constexpr std::uint8_t kinds[] = {0, 60, 43, 60,
                                    60}; // hop-by-hop and destination options, routing
  const auto behind = [&](Bytes bytes, std::size_t l3, std::size_t many, std::uint8_t last) {
    for (std::size_t i = many; i-- > 0;) {
      const Bytes header = {i + 1 == many ? last : kinds[i + 1], 0, 1, 4, 0, 0, 0, 0};
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(l3) + 40, header.begin(),
                   header.end());
    }
    if (many > 0)
      bytes[l3 + 6] = kinds[0];
    return bytes;
  };
  for (std::size_t many = 0; many <= 4; many++) {
    for (const int port : {40000, 40001}) {
      const trap_verdict verdict = port == 40000 ? TRAP_PASS_ICMP_FLOW : TRAP_DROP_ICMP_NO_FLOW;
      expect(behind(message(2, quoted(80, port)), l2, many, icmpv6), 1, verdict,
             "around the message");
      expect(message(2, behind(quoted(80, port), 0, many, 6)), 1, verdict, "in what it quotes");
    }
  }
  expect(behind(message(2, quoted(80, 40001)), l2, 5, icmpv6), 0, TRAP_DROP_EXTENSION_HEADERS,
         "too many");
}

// Maps hold IPv4 addresses as IPv4-mapped ones: an IPv6 error must not speak of an IPv4 flow.
TEST_P(GuardAndIcmp, mapped_addresses_are_no_flow_of_the_ipv4_host_that_they_name) {
  if (GetParam() == 4)
    GTEST_SKIP() << "IPv4 has no mapped addresses";
  const auto map_end = [](Bytes bytes, std::size_t at, const Address& ipv4) {
    std::copy_n(ipv4.value.bytes, 16, bytes.begin() + static_cast<std::ptrdiff_t>(at));
    return bytes;
  };
  const Address client = constants_.address("client", 4),
                backend = constants_.address("backend", 4);
  const Bytes quote = quoted(80, 40000);
  const Bytes source = map_end(quote, 8, backend), destination = map_end(quote, 24, client);
  for (const Bytes& body : {source, destination, map_end(source, 24, client)})
    expect(message(2, body), 0, TRAP_DROP_MAPPED_ADDRESS, "in what the error quotes");
  for (const std::uint8_t kind : {2, 128, 135}) { // an error, a query, a neighbour
    expect(map_end(message(kind, quote), l2 + 8, client), 0, TRAP_DROP_MAPPED_ADDRESS,
           "as the message's source");
    expect(map_end(message(kind, quote), l2 + 24, backend), 0, TRAP_DROP_MAPPED_ADDRESS,
           "as the message's destination");
  }
}

TEST_P(GuardAndIcmp, an_error_that_quotes_too_little_tells_nothing_of_a_protected_port) {
  const Bytes whole = quoted(80, 40001);
  for (std::size_t bytes = 0; bytes < ip_bytes() + 4; bytes++) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
    expect(message(type(3, 1), part), 0, TRAP_PASS_OTHER, "cut before the ports");
  }
}

// The stack puts the fragments together, and acts on what the guard has not seen.
TEST_P(GuardAndIcmp, errors_hide_in_no_fragment) {
  for (const int port : {40000, 40001}) {
    const Bytes whole = message(type(3, 1), quoted(80, port));
    for (std::size_t bytes = 0; bytes <= ip_bytes() + 16; bytes += 8) {
      const trap_verdict visible = port == 40000 ? TRAP_PASS_ICMP_FLOW : TRAP_DROP_ICMP_NO_FLOW;
      const bool shows_ports = bytes >= ip_bytes() + 8 + 4;
      expect(fragment(whole, 0, bytes, true), shows_ports ? 1 : 0,
             shows_ports ? visible : TRAP_DROP_FRAGMENT, "the first of several");
      if (bytes != 0)
        expect(fragment(whole, bytes, 8, false), 0, TRAP_PASS_OTHER,
               "a later one, without which it is nothing");
    }
    expect(fragment(whole, 0, ip_bytes() + 16, false), 1,
           port == 40000 ? TRAP_PASS_ICMP_FLOW : TRAP_DROP_ICMP_NO_FLOW, "the only one");
  }
  const Bytes echo = message(type(8, 128), Bytes(64));
  expect(fragment(echo, 0, 32, true), 0, TRAP_PASS_OTHER, "a large echo request");
}

TEST_P(GuardAndIcmp, queries_pass_as_configured) {
  const Bytes echo = message(type(8, 128), Bytes(16));
  expect(echo, 0, TRAP_PASS_OTHER, "echo request");
  set_flags(TRAP_GUARD_DROPS_ICMP);
  expect(echo, 0, TRAP_DROP_ICMP, "echo request");
  expect(message(type(5, 139), Bytes(16)), 0, TRAP_DROP_ICMP, "redirect, node information");
  expect(message(type(3, 1), quoted(22, 40000)), 0, TRAP_PASS_OTHER, "an error is no query");
  expect(message(type(3, 1), quoted(80, 40000)), 1, TRAP_PASS_ICMP_FLOW, "an error is no query");
}

TEST_P(GuardAndIcmp, neighbours_of_ipv6_always_find_each_other) {
  if (GetParam() == 4)
    GTEST_SKIP() << "IPv4 needs no ICMP between neighbours: it has ARP";
  set_flags(TRAP_GUARD_DROPS_ICMP);
  for (const std::uint8_t kind : {130, 131, 132, 133, 134, 135, 136, 137, 143})
    expect(message(kind, Bytes(16)), 0, TRAP_PASS_OTHER,
           "neighbour discovery, multicast listeners");
  Bytes report =
      message(143, Bytes(16)); // as hosts send it: behind a hop-by-hop header with a router alert
  report[l2 + 6] = 0;
  const Bytes alert = {icmpv6, 0, 5, 2, 0, 0, 1, 0};
  report.insert(report.begin() + l2 + 40, alert.begin(), alert.end());
  expect(report, 0, TRAP_PASS_OTHER, "behind a router alert");
  Bytes hidden = message(128, Bytes(16)); // an echo request does not hide there
  hidden[l2 + 6] = 0;
  hidden.insert(hidden.begin() + l2 + 40, alert.begin(), alert.end());
  expect(hidden, 0, TRAP_DROP_ICMP, "behind an extension header");
}

INSTANTIATE_TEST_SUITE_P(Families, GuardAndIcmp, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
