// SPDX-License-Identifier: Apache-2.0
// The guard and the host's own sockets: a connection that exists passes without any entry of ours,
// a listener lets nobody in. And the flag without which nobody is trusted.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstring>

#include "dataplane/verdict.h"
#include "guard/maps.h"
#include "protocol/wire.h"
#include "tests/bpf/harness/loopback.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

class GuardAndSockets : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0); // nobody else's sockets
    bring_loopback_up();
    guard_ = &fresh_object(part_under_test(), constants_);
  }

  // Whether port 80's sockets are this host's.
  void set_port_flags(__u8 flags) {
    constexpr std::uint32_t port = 80;
    auto service = guard_->get<trap_guard_port>("ports", port);
    service.flags = flags;
    guard_->put("ports", port, service);
  }

  // Counts of `verdict` by a segment from a socket of this host to port 80.
  std::uint64_t counted(trap_verdict verdict, int port, const std::string& flags,
                        std::uint32_t seq = 0, std::uint32_t ack = 0) {
    const std::uint64_t before = guard_->counters(1)[verdict];
    const Json packet = {{"ip", {{"src", "here"}, {"dst", "here"}}},
                         {"tcp", {{"sport", port}, {"flags", flags}, {"seq", seq}, {"ack", ack}}}};
    guard_->run("trap_guard", build_packet(packet, GetParam(), constants_));
    return guard_->counters(1)[verdict] - before;
  }

  // The number that a connection expects next.
  static std::uint32_t next_number(const Socket& connection) {
    constexpr int on = 1, off = -1 /* without a window probe */, receiving = TCP_RECV_QUEUE;
    std::uint32_t number = 0;
    socklen_t bytes = sizeof number;
    const int fd = connection.fd();
    EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on), 0);
    EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &receiving, sizeof receiving), 0);
    EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &number, &bytes), 0);
    EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof off), 0);
    return number;
  }

  // The same of an ICMP error about what port 80 sent to such a socket.
  std::uint64_t icmp_counted(trap_verdict verdict, int port) {
    constexpr std::size_t l2 = 14;
    const std::size_t ip_bytes = GetParam() == 4 ? 20 : 40;
    const Json answer = {{"ip", {{"src", "here"}, {"dst", "here"}}},
                         {"tcp", {{"sport", 80}, {"dport", port}, {"flags", "A"}}}};
    const Bytes quoted = build_packet(answer, GetParam(), constants_);
    Bytes frame(quoted.begin(), quoted.begin() + static_cast<std::ptrdiff_t>(l2 + ip_bytes));
    if (GetParam() == 4)
      frame[l2 + 9] = IPPROTO_ICMP;
    else
      frame[l2 + 6] = IPPROTO_ICMPV6;
    frame.push_back(GetParam() == 4 ? 3 : 1); // unreachable
    frame.resize(frame.size() + 7);
    frame.insert(frame.end(), quoted.begin() + l2, quoted.end());
    const std::uint64_t before = guard_->counters(1)[verdict];
    guard_->run("trap_guard", frame);
    return guard_->counters(1)[verdict] - before;
  }

  const TestConstants constants_;
  Object* guard_ = nullptr;
};

TEST_P(GuardAndSockets, a_listener_lets_nobody_in_and_a_connection_passes) {
  const Socket listener = listen_on(GetParam(), 80);
  for (const char* const flags : {"A", "SA", "R", "RA", "FA"})
    EXPECT_EQ(counted(TRAP_DROP_NO_FLOW, 40000, flags), 1u) << flags;
  EXPECT_EQ(counted(TRAP_DROP_UNINVITED, 40000, "S"), 1u);

  const Socket client = connect_from(GetParam(), 40000, 80);
  const Socket accepted = accept_from(listener);
  EXPECT_EQ(counted(TRAP_PASS_SOCKET, 40000, "A"), 1u);
  EXPECT_EQ(counted(TRAP_PASS_FLOW, 40000, "PA"), 1u) << "the socket's flow was not remembered";
  EXPECT_EQ(counted(TRAP_DROP_NO_FLOW, 40001, "A"), 1u);
}

TEST_P(GuardAndSockets, a_connection_of_this_host_says_nothing_of_a_service_elsewhere) {
  const Socket listener = listen_on(GetParam(), 80);
  const Socket client = connect_from(GetParam(), 40002, 80);
  const Socket accepted = accept_from(listener);
  set_port_flags(0);
  for (const char* const flags : {"A", "PA", "SA", "R", "RA", "FA"})
    EXPECT_EQ(counted(TRAP_DROP_NO_FLOW, 40002, flags), 1u) << flags;
  EXPECT_EQ(icmp_counted(TRAP_DROP_ICMP_NO_FLOW, 40002), 1u);
  set_port_flags(TRAP_PORT_SOCKETS);
  EXPECT_EQ(icmp_counted(TRAP_PASS_ICMP_FLOW, 40002), 1u);
  EXPECT_EQ(counted(TRAP_PASS_SOCKET, 40002, "A"), 1u) << "the connection was not there";
}

TEST_P(GuardAndSockets, a_flow_whose_socket_has_gone_ends_however_much_its_client_sends) {
  const Socket listener = listen_on(GetParam(), 80);
  const Socket client = connect_from(GetParam(), 40010, 80);
  Socket accepted = accept_from(listener);
  EXPECT_EQ(counted(TRAP_PASS_SOCKET, 40010, "A"), 1u);
  EXPECT_EQ(counted(TRAP_PASS_FLOW, 40010, "FA"), 1u);
  EXPECT_EQ(counted(TRAP_PASS_FLOW, 40010, "A"), 1u) << "the stack has ignored that FIN";
  constexpr linger at_once = {.l_onoff = 1, .l_linger = 0};
  ASSERT_EQ(setsockopt(accepted.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  accepted.reset();
  EXPECT_EQ(counted(TRAP_PASS_FLOW, 40010, "FA"), 1u);
  for (int i = 0; i < 100; i++)
    ASSERT_EQ(counted(TRAP_DROP_NO_FLOW, 40010, "A"), 1u);
}

// The count of the client's open flows is 1 while its socket lives, whatever RST it sends, but for
// one with the number that RFC 5961 asks for; and 1 again as soon as the socket is seen to live.
TEST_P(GuardAndSockets, a_rst_that_the_stack_ignores_ends_no_count) {
  trap_guard_client_key key = {};
  key.prefix = trap_address_mask(constants_.address("here", GetParam()).value,
                                 GetParam() == 4 ? TRAP_IPV4 : TRAP_IPV6,
                                 GetParam() == 4 ? TRAP_SCOPE_V4 : TRAP_SCOPE_V6);
  key.slot = 1;
  guard_->put("client_budgets", key, trap_guard_client{});
  const auto open_flows = [&] {
    trap_guard_client found = {};
    const Entries clients = guard_->entries("client_budgets");
    std::memcpy(&found, clients.at(guard_->key_of("client_budgets", bytes_of(key))).data(),
                sizeof found);
    return found.flows;
  };
  const Socket listener = listen_on(GetParam(), 80);
  const Socket client = connect_from(GetParam(), 40011, 80);
  const Socket accepted = accept_from(listener);
  EXPECT_EQ(counted(TRAP_PASS_SOCKET, 40011, "A"), 1u);
  ASSERT_EQ(open_flows(), 1u);
  const std::uint32_t next = next_number(accepted);
  for (const char* const flags : {"R", "RA", "FA"}) {
    for (const std::uint32_t seq : {next - 1, next + 1, next + 1000, next + 0x80000000}) {
      EXPECT_EQ(counted(TRAP_PASS_FLOW, 40011, flags, seq), 1u);
      EXPECT_EQ(open_flows(), 1u) << flags;
    }
  }
  EXPECT_EQ(counted(TRAP_PASS_FLOW, 40011, "FA", next), 1u);
  EXPECT_EQ(open_flows(), 1u) << "the socket is there still";
  for (const char* const flags : {"R", "RA"}) {
    EXPECT_EQ(counted(TRAP_PASS_FLOW, 40011, flags, next), 1u);
    EXPECT_EQ(open_flows(), 0u) << flags;
    EXPECT_EQ(counted(TRAP_PASS_FLOW, 40011, "A"), 1u);
    EXPECT_EQ(open_flows(), 1u);
  }
}

// A connection that the stack is opening, of which the guard has no half-open flow: an ACK with
// another number neither passes nor makes one.
TEST_P(GuardAndSockets, an_opening_socket_makes_a_flow_by_its_own_number_alone) {
  const Socket listener = listen_on(GetParam(), 80, true);
  const Socket client = connect_from(GetParam(), 40012, 80);
  const std::uint32_t right = next_number(client);
  for (const char* const flags : {"A", "PA", "FA", "RA"})
    for (const std::uint32_t wrong : {right - 1, right + 1, 0u})
      EXPECT_EQ(counted(TRAP_DROP_HALF_OPEN, 40012, flags, 0, wrong), 1u) << flags;
  EXPECT_EQ(counted(TRAP_PASS_SOCKET, 40012, "R"), 1u) << "its number is the stack's to judge";
  EXPECT_TRUE(guard_->entries("flows").empty());
  EXPECT_EQ(counted(TRAP_PASS_SOCKET, 40012, "A", 0, right), 1u);
  EXPECT_EQ(guard_->entries("flows").size(), 1u);
  EXPECT_EQ(counted(TRAP_PASS_FLOW, 40012, "A", 0, right), 1u);
}

TEST_P(GuardAndSockets, nobody_is_trusted_without_the_flag) {
  const std::uint32_t zero = 0;
  auto settings = guard_->get<trap_guard_settings>("settings", zero);
  const Json packet = {
      {"ip", {{"src", GetParam() == 4 ? "10.9.0.1" : "fd00:9::1"}, {"dst", "backend"}}},
      {"tcp", {{"flags", "S"}}}};
  for (const bool trusts : {true, false, true}) {
    settings.flags = trusts ? TRAP_GUARD_TRUSTS : 0;
    guard_->put("settings", zero, settings);
    const trap_verdict verdict = trusts ? TRAP_PASS_TRUSTED : TRAP_DROP_UNINVITED;
    const std::uint64_t before = guard_->counters(1)[verdict];
    guard_->run("trap_guard", build_packet(packet, GetParam(), constants_));
    EXPECT_EQ(guard_->counters(1)[verdict] - before, 1u) << trusts;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GuardAndSockets, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
