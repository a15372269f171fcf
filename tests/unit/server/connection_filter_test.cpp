// SPDX-License-Identifier: Apache-2.0
// The filter of known connections beside real sockets in a namespace of its own. Time is the
// test's.
#include <algorithm>
#include <cstring>
#include <memory>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "runtime/nanoseconds.h"
#include "server/daemon/serving/connection_filter.h"
#include "tests/unit/server/own_network.h"

namespace trap::test {
namespace {

using server::KnownConnections;
using server::KnownWords;

class Known : public OwnNetwork {
protected:
  void advance(int seconds) {
    for (int i = 0; i < 5 * seconds; i++) {
      now_ns += ns_per_s / 5;
      known.advance(now_ns);
    }
  }

  bool trusted() const { return known.trusted(now_ns); }

  // The hash of a client's connection.
  static __u64 hash_of(const Fd& client, std::uint16_t port) {
    sockaddr_storage local = {};
    socklen_t bytes = sizeof local;
    EXPECT_EQ(getsockname(client.get(), reinterpret_cast<sockaddr*>(&local), &bytes), 0);
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&local);
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&local);
    trap_address address = {};
    if (local.ss_family == AF_INET)
      address = trap_address_v4(v4->sin_addr.s_addr);
    else
      std::memcpy(address.bytes, &v6->sin6_addr, sizeof address.bytes);
    return trap_connection_hash(&address, local.ss_family == AF_INET ? v4->sin_port : v6->sin6_port,
                                htons(port));
  }

  // As the program reads it.
  bool is_set(__u64 hash) const {
    const trap_connection_filter& word = (*words)[trap_connection_filter_word(hash)];
    return ((word.bits[0] | word.bits[1]) & trap_connection_filter_bit(hash)) != 0;
  }

  bool has_bit(const Fd& client, std::uint16_t port) const { return is_set(hash_of(client, port)); }

  bool is_empty() const {
    return std::ranges::all_of(*words, [](const trap_connection_filter& word) {
      return word.bits[0] == 0 && word.bits[1] == 0;
    });
  }

  std::unique_ptr<KnownWords> words = std::make_unique<KnownWords>();
  trap_server_settings settings = {};
  KnownConnections known{*words, settings};
  std::uint64_t now_ns = 1000 * ns_per_s;
};

TEST_F(Known, connections_of_both_families_get_their_bits_before_there_is_trust) {
  for (const int family : {4, 6}) {
    Endpoint at = loopback(family);
    const Fd listener = listen_at(at);
    const Fd client = connection_to(at);
    known.watch({at.port});
    known.distrust(now_ns);
    EXPECT_FALSE(trusted());
    EXPECT_FALSE(has_bit(client, at.port));
    for (int i = 0; i < 20 && !trusted(); i++)
      advance(1);
    EXPECT_TRUE(trusted()) << known.problem();
    EXPECT_TRUE(has_bit(client, at.port));
    EXPECT_EQ(known.count(), 1u) << "the listener and the client's end do not count";
  }
}

TEST_F(Known, trust_waits_for_lists_that_began_after_what_ended_it) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  known.watch({at.port});
  advance(20);
  ASSERT_TRUE(trusted());
  known.distrust(now_ns);
  EXPECT_FALSE(trusted());
  const Fd client = connection_to(at); // what passed before may be a moment on its way
  known.advance(now_ns);
  EXPECT_FALSE(has_bit(client, at.port)) << "no list begins at once";
  advance(1);
  EXPECT_TRUE(has_bit(client, at.port));
  EXPECT_FALSE(trusted()) << "one list may miss a connection";
  advance(10);
  EXPECT_TRUE(trusted());
}

TEST_F(Known, trust_ends_without_a_daemon) {
  known.watch({80});
  advance(20);
  ASSERT_TRUE(trusted());
  now_ns += 200 * ns_per_s;
  EXPECT_FALSE(trusted());
}

TEST_F(Known, live_connections_keep_their_bits_and_dead_ones_lose_theirs) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  const Fd lives = connection_to(at);
  Fd dies = connection_to(at);
  const __u64 dying = hash_of(dies, at.port);
  known.watch({at.port});
  advance(20);
  EXPECT_TRUE(is_set(dying));
  const linger at_once = {.l_onoff = 1, .l_linger = 0}; // a reset: nothing stays in TIME_WAIT
  EXPECT_EQ(setsockopt(dies.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  dies.reset();
  for (int i = 0; i < 200; i++) {
    advance(1);
    ASSERT_TRUE(trusted()) << "after " << i << " s";
    ASSERT_TRUE(has_bit(lives, at.port)) << "after " << i << " s";
  }
  EXPECT_FALSE(is_set(dying));
}

// A client of the first family at a listener of both, and one that has only sent its SYN: its
// listener waits for data.
TEST_F(Known, half_open_connections_and_those_of_mapped_addresses_count) {
  set("tcp_syncookies", 0);
  Endpoint at = {trap_address{}, 0};
  const Fd listener = listen_at(at); // of ::, which takes both
  const int wait_s = 60;
  EXPECT_EQ(setsockopt(listener.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &wait_s, sizeof wait_s), 0);
  Endpoint v4 = loopback(4);
  v4.port = at.port;
  const Fd client = connection_to(v4);
  known.watch({at.port});
  advance(20);
  EXPECT_TRUE(trusted());
  EXPECT_TRUE(has_bit(client, at.port));
}

TEST_F(Known, connections_of_other_ports_get_no_bits) {
  Endpoint at = loopback(4), other = loopback(4);
  const Fd listener = listen_at(at), other_listener = listen_at(other);
  const Fd client = connection_to(other);
  known.watch({at.port, 1}); // two: the kernel lists all, and we choose
  advance(20);
  EXPECT_TRUE(trusted());
  EXPECT_TRUE(is_empty());
}

TEST_F(Known, without_ports_there_is_no_trust) {
  advance(20);
  EXPECT_FALSE(trusted());
  EXPECT_TRUE(known.problem().empty());
}

TEST_F(Known, what_was_given_up_stays_so) {
  known.watch({80});
  known.give_up();
  advance(20);
  EXPECT_FALSE(trusted());
}

} // namespace
} // namespace trap::test
