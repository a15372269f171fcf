// SPDX-License-Identifier: Apache-2.0
// The program that stands in for a packet socket sees what such a socket sees, in this network
// namespace and while it is asked to.
#include "runtime/kernel/wire_watch.h"

#include <cstdlib>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <thread>

#include <fmt/core.h>
#include <gmock/gmock.h>

#include "dataplane/sighting.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/knock/knock_wire.h"
#include "runtime/packet/segment.h"
#include "tests/unit/server/own_network.h"

namespace trap::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using Ways = WireWatch::Ways;

bool is_readable(int fd, int within_ms = 10'000) {
  pollfd ready = {.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&ready, 1, within_ms) == 1;
}

class WireWatchTest : public OwnNetwork {
protected:
  void SetUp() override {
    redirect_libbpf_messages(); // to the log, at debug level
    OwnNetwork::SetUp();
    if (IsSkipped())
      return;
    auto made = WireWatch::make();
    ASSERT_TRUE(made) << made.error().message;
    watch_ = std::move(*made);
  }

  void begin(int family, std::uint16_t port, Ways ways = Ways::both) {
    const auto begun = watch_->begin(family == 4 ? TRAP_IPV4 : TRAP_IPV6, port, ways);
    ASSERT_TRUE(begun) << begun.error().message;
  }

  static void run(const std::string& command) {
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  // A connection and its end: SYN, SYN-ACK, ACK, FIN and ACK.
  static void converse(const Endpoint& listener) { connection_to(listener); }

  // What is seen until there is something.
  std::vector<WireWatch::Sighting> await() {
    EXPECT_TRUE(is_readable(watch_->event_fd()));
    return watch_->take();
  }

  std::unique_ptr<WireWatch> watch_;
};

constexpr std::size_t segments_of_conversation = 5;

// Loopback shows each segment as it goes out and as it comes in.
std::vector<std::string> lines_of_conversation(KnockWire& wire) {
  std::vector<std::string> lines;
  while (lines.size() < 2 * segments_of_conversation && is_readable(wire.event_fd()))
    for (const KnockWire::Sighting& seen : wire.take()) {
      EXPECT_GT(seen.at_ns, 0);
      lines.push_back(fmt::format("{} {} {} flags {:#x} seq {} ack {}",
                                  seen.outgoing ? "out" : "in", format_endpoint(seen.segment.from),
                                  format_endpoint(seen.segment.to), seen.segment.flags,
                                  seen.segment.seq, seen.segment.ack));
    }
  return lines;
}

class OfFamily : public WireWatchTest, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(WireWatch, OfFamily, testing::Values(4, 6));

TEST_P(OfFamily, sees_what_a_packet_socket_sees) {
  Endpoint at = loopback(GetParam());
  const Fd listener = listen_at(at);
  const trap_family family = family_of(at.address);
  auto packet = open_packet_wire(family, at.port);
  auto traced = open_traced_wire(family, at.port);
  ASSERT_TRUE(packet && traced);
  converse(at);
  const auto expected = lines_of_conversation(**packet);
  EXPECT_THAT(expected, SizeIs(2 * segments_of_conversation));
  EXPECT_EQ(lines_of_conversation(**traced), expected);
}

TEST_P(OfFamily, sees_its_port_alone) {
  Endpoint at = loopback(GetParam()), other = loopback(GetParam());
  const Fd listener = listen_at(at), another = listen_at(other);
  begin(GetParam(), at.port);
  converse(other);
  EXPECT_THAT(watch_->take(), IsEmpty());
  converse(at);
  await();
}

TEST_P(OfFamily, sees_one_family) {
  Endpoint at = loopback(GetParam());
  const Fd listener = listen_at(at);
  begin(GetParam() == 4 ? 6 : 4, at.port);
  converse(at);
  EXPECT_THAT(watch_->take(), IsEmpty());
}

TEST_F(WireWatchTest, sees_outgoing_packets_alone_if_asked_to) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  begin(4, at.port, Ways::out);
  converse(at);
  EXPECT_THAT(await(), testing::Each(testing::Field(&WireWatch::Sighting::outgoing, true)));
}

TEST_F(WireWatchTest, sees_nothing_after_its_end) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  begin(4, at.port);
  watch_->end();
  converse(at);
  EXPECT_THAT(watch_->take(), IsEmpty());
}

TEST_F(WireWatchTest, forgets_what_was_watched_before) {
  Endpoint at = loopback(4), other = loopback(4);
  const Fd listener = listen_at(at), another = listen_at(other);
  begin(4, at.port);
  converse(at);
  begin(4, other.port);
  EXPECT_THAT(watch_->take(), IsEmpty());
}

// Another host of a lab, or a container, on the same kernel.
TEST_F(WireWatchTest, sees_its_own_network_namespace_alone) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  begin(4, at.port);
  std::jthread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    run("ip link set lo up");
    Endpoint there = at;
    const Fd same_port = listen_at(there);
    ASSERT_EQ(there.port, at.port);
    converse(there);
  }).join();
  EXPECT_THAT(watch_->take(), IsEmpty());
}

// Frames that come in from the other end of a link.
class FromLink : public WireWatchTest {
protected:
  static constexpr std::uint16_t port = 4242;

  void SetUp() override {
    WireWatchTest::SetUp();
    if (IsSkipped())
      return;
    run("ip link add near type veth peer name far && ip link set near up && ip link set far up");
    begin(4, port);
  }

  static Segment segment() {
    return {.from = *parse_endpoint("198.51.100.1:1"),
            .to = {*parse_address("198.51.100.2"), port},
            .seq = 7,
            .flags = tcp_syn};
  }

  static void send(const Bytes& frame) {
    const Fd socket_at_far(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll far = {};
    far.sll_family = AF_PACKET;
    far.sll_ifindex = static_cast<int>(if_nametoindex("far"));
    ASSERT_EQ(sendto(socket_at_far.get(), frame.data(), frame.size(), 0,
                     reinterpret_cast<const sockaddr*>(&far), sizeof(far)),
              static_cast<ssize_t>(frame.size()));
  }

  std::vector<WireWatch::Sighting> await_incoming() {
    std::vector<WireWatch::Sighting> incoming;
    while (incoming.empty() && is_readable(watch_->event_fd()))
      for (const auto& seen : watch_->take())
        if (!seen.outgoing)
          incoming.push_back(seen);
    return incoming;
  }
};

TEST_F(FromLink, a_long_packet_is_seen_as_far_as_there_is_room) {
  Segment longer = segment();
  longer.payload.resize(1000);
  send(build_frame({}, longer));
  const auto seen = await_incoming();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_THAT(seen[0].packet, SizeIs(TRAP_SIGHTING_BYTES));
}

TEST_F(FromLink, a_datagram_with_the_ports_number_is_none) {
  send(build_frame({}, Datagram{.from = segment().from, .to = segment().to}));
  send(build_frame({}, segment()));
  const auto seen = await_incoming();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_TRUE(read_packet(seen[0].packet.data(), seen[0].packet.size()));
}

// With VLAN tags that no card took off.
class Tagged : public FromLink, public testing::WithParamInterface<unsigned> {};

INSTANTIATE_TEST_SUITE_P(WireWatch, Tagged, testing::Values(0U, 1U, 2U));

TEST_P(Tagged, segments_are_seen_as_they_come_in) {
  const Ethernet tagged = {.tags = {GetParam(), VlanTag{.type = ETH_P_8021Q, .id = 5}}};
  send(build_frame(tagged, segment()));
  const auto seen = await_incoming();
  ASSERT_THAT(seen, SizeIs(1));
  const auto read = read_packet(seen[0].packet.data(), seen[0].packet.size());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->to, segment().to);
  EXPECT_EQ(read->seq, segment().seq);
}

} // namespace
} // namespace trap::test
