// SPDX-License-Identifier: Apache-2.0
// Packets of one client on two CPUs at once: no budget lets more through than it has, and the count
// of open flows is right in the end, however the races go.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "dataplane/verdict.h"
#include "guard/daemon/maps/tables.h"
#include "guard/maps.h"
#include "runtime/config/endpoint.h"
#include "tests/bpf/guard/guard_tables.h"
#include "tests/bpf/harness/buckets.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr int tries = 3;
constexpr int packets = 100'000; // on each CPU
constexpr std::uint64_t limit = 20'000;
constexpr std::uint8_t tag = 7;
constexpr std::uint32_t rounds = 20'000;
constexpr int spins = 100'000; // before a CPU that waits for the other goes to somebody else

// Nothing comes back while a test runs.
trap_rate tokens(std::uint64_t burst, std::uint32_t chunk) {
  constexpr std::uint64_t token_ns = 1'000'000'000'000;
  return {.token_ns = token_ns, .burst_ns = token_ns * burst, .chunk = chunk, .reserved = 0};
}

void pin_to(std::size_t number) {
  cpu_set_t allowed, one;
  CPU_ZERO(&allowed);
  CPU_ZERO(&one);
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &allowed))
      cpus.push_back(cpu);
  CPU_SET(cpus[number % cpus.size()], &one);
  ASSERT_EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), 0);
}

class GuardOnTwoCpus : public testing::TestWithParam<int> {
protected:
  void SetUp() override { guard_ = &fresh_object(part_under_test(), constants_); }

  // Tag 7 without any limit but what `change` sets.
  void set_class(const std::function<void(trap_guard_class&)>& change) {
    trap_guard_class limits = {};
    change(limits);
    guard_->put("classes", std::uint32_t{tag}, limits);
  }

  void put(const char* map, const Json& entry) {
    const DescribedEntry described = describe_entry(map, entry, GetParam(), constants_, 0);
    guard_->put(map, described.key, described.value);
  }

  // A client with one open flow.
  void put_flow() {
    put("client_budgets", {{"prefix", "client-scope"}, {"slot", 1}, {"flows", 1}, {"tag", tag}});
    put("flows", {{"client", "client"},
                  {"service", "backend"},
                  {"client_port", 40000},
                  {"service_port", 80},
                  {"tag", tag},
                  {"flags", TRAP_FLOW_BUDGETED}});
  }

  Bytes packet(const Json& tcp) const {
    return build_packet({{"ip", {{"dst", "backend"}}}, {"tcp", tcp}}, GetParam(), constants_);
  }

  Bytes ticket_syn() const {
    return packet({{"seq", "$isn"}, {"options", {{{"ticket", "$ticket.tagged"}}}}});
  }

  // Runs a packet on each of two CPUs, again and again; how many were counted under `verdict`.
  std::uint64_t race(trap_verdict verdict, const Bytes& one, const Bytes& other) const {
    const std::uint64_t before = guard_->counters(1)[verdict];
    std::atomic<int> ready = 0;
    std::vector<std::thread> cpus;
    for (const Bytes* const frame : {&one, &other})
      cpus.emplace_back([&, frame, number = cpus.size()] {
        pin_to(number);
        ready++;
        while (ready != 2)
          ;
        guard_->run("trap_guard", *frame, packets);
      });
    for (std::thread& cpu : cpus)
      cpu.join();
    return guard_->counters(1)[verdict] - before;
  }

  trap_guard_client client() {
    const Entries clients = guard_->entries("client_budgets");
    trap_guard_client found = {};
    EXPECT_EQ(clients.size(), 1u);
    if (!clients.empty())
      std::memcpy(&found, clients.begin()->second.data(), sizeof found);
    return found;
  }

  trap_guard_client_key client_key() const {
    trap_guard_client_key key = {};
    key.prefix = constants_.address("client-scope", GetParam()).value;
    key.slot = 1;
    return key;
  }

  std::uint32_t bucket_count() const {
    return bpf_map__max_entries(bpf_object__find_map_by_name(guard_->object(), "client_budgets"));
  }

  // A client of the same two buckets.
  trap_guard_client_key client_key_beside(const trap_guard_client_key& key,
                                          const trap_client_keys& secret) const {
    const auto buckets_of = [&](const trap_guard_client_key& of) {
      const std::uint64_t print = trap_client_print(&of, &secret);
      return std::pair{trap_client_bucket_index(print, 0, bucket_count()),
                       trap_client_bucket_index(print, 1, bucket_count())};
    };
    trap_guard_client_key other = key;
    do {
      __be32& word = other.prefix.be32[GetParam() == 4 ? 3 : 1];
      word = TRAP_BE32(TRAP_FROM_BE32(word) + 1);
    } while (buckets_of(other) != buckets_of(key));
    return other;
  }

  void put_announced(const trap_guard_client_key& client) {
    trap_announced_key key = {};
    key.client = client.prefix;
    key.port = TRAP_BE16(80);
    key.scope = GetParam() == 4 ? TRAP_SCOPE_V4 : TRAP_SCOPE_V6;
    const auto now = constants_.moment("now")["unix_s"].get<std::uint32_t>();
    guard_->put("announced", key, trap_announced{.until_s = now + 600, .tag = tag, .reserved = {}});
  }

  Bytes announced_syn(const trap_guard_client_key& client) const {
    return build_packet({{"ip", {{"src", format_address(client.prefix)}, {"dst", "backend"}}},
                         {"tcp", {{"seq", "$isn"}}}},
                        GetParam(), constants_);
  }

  static std::uint32_t entries_of(Buckets<trap_client_bucket>& buckets, std::uint64_t print) {
    std::uint32_t found = 0;
    for (const int second : {0, 1}) {
      const auto& bucket = buckets[trap_client_bucket_index(print, second, buckets.size())];
      found += static_cast<std::uint32_t>(std::ranges::count(bucket.prints, print));
    }
    return found;
  }

  // With clients that never come.
  static void fill_buckets_of(Buckets<trap_client_bucket>& buckets, std::uint64_t print) {
    for (const int second : {0, 1}) {
      auto& bucket = buckets[trap_client_bucket_index(print, second, buckets.size())];
      for (std::uint64_t i = 0; i < TRAP_CLIENT_WAYS; i++) {
        bucket.clients[i] = {};
        bucket.prints[i] = TRAP_CLIENT_IS_THERE | TRAP_CLIENT_IS_PRINT | (i + 1);
      }
    }
  }

  // One packet on each of two CPUs at the same moment, many times, each time after `prepare`; how
  // many SYNs passed.
  std::uint64_t in_rounds(const std::function<void(std::uint32_t)>& prepare, const Bytes& one,
                          const Bytes& other) const {
    const auto passed = [&] {
      const auto counters = guard_->counters(1);
      return counters[TRAP_PASS_TICKET] + counters[TRAP_PASS_ANNOUNCED];
    };
    const std::uint64_t before = passed();
    std::atomic<std::uint32_t> begun = 0, ended = 0;
    const auto wait_for = [](const std::atomic<std::uint32_t>& number, std::uint32_t round) {
      for (int spin = 0; number.load() < round; spin++)
        if (spin >= spins)
          std::this_thread::yield();
    };
    std::thread second([&] {
      pin_to(1);
      for (std::uint32_t round = 1; round <= rounds; round++) {
        wait_for(begun, round);
        guard_->run("trap_guard", other);
        ended = round;
      }
    });
    std::thread first([&] {
      pin_to(0);
      for (std::uint32_t round = 1; round <= rounds; round++) {
        prepare(round);
        begun = round;
        guard_->run("trap_guard", one);
        wait_for(ended, round);
      }
    });
    first.join();
    second.join();
    return passed() - before;
  }

  const TestConstants constants_;
  Object* guard_ = nullptr;
};

TEST_P(GuardOnTwoCpus, packets_are_no_more_than_the_budget) {
  for (const std::uint32_t chunk : {1u, 64u})
    for (int i = 0; i < tries; i++) {
      SetUp();
      set_class([&](trap_guard_class& limits) { limits.packets = tokens(limit, chunk); });
      put_flow();
      const Bytes ack = packet({{"flags", "A"}});
      EXPECT_LE(race(TRAP_PASS_FLOW, ack, ack), limit) << "chunks of " << chunk;
      EXPECT_EQ(race(TRAP_DROP_CLIENT_PACKETS, ack, ack), 2u * packets) << "and it is used up";
    }
}

TEST_P(GuardOnTwoCpus, bytes_are_no_more_than_the_budget) {
  for (int i = 0; i < tries; i++) {
    SetUp();
    set_class([](trap_guard_class& limits) { limits.kib = tokens(limit, 1); });
    put_flow();
    Json large = {{"ip", {{"dst", "backend"}}}, {"tcp", {{"flags", "A"}}}, {"payload", 1400}};
    const Bytes frame = build_packet(large, GetParam(), constants_);
    EXPECT_LE(race(TRAP_PASS_FLOW, frame, frame) * frame.size(), limit * 1024);
  }
}

TEST_P(GuardOnTwoCpus, syns_are_no_more_than_the_budget) {
  for (int i = 0; i < tries; i++) {
    SetUp();
    set_class([](trap_guard_class& limits) { limits.syns = tokens(limit, 1); });
    EXPECT_LE(race(TRAP_PASS_TICKET, ticket_syn(), ticket_syn()), limit);
  }
}

TEST_P(GuardOnTwoCpus, a_flow_that_opens_and_closes_at_once_is_counted_right) {
  for (int i = 0; i < tries; i++) {
    SetUp();
    set_class([](trap_guard_class& limits) { limits.flows = 2; });
    put_flow();
    race(TRAP_PASS_FLOW, ticket_syn(), packet({{"flags", "FA"}}));
    guard_->run("trap_guard", packet({{"flags", "FA"}})); // of a flow that is half-open still
    trap_guard_flow flow = {};
    const Entries flows = guard_->entries("flows");
    ASSERT_EQ(flows.size(), 1u);
    std::memcpy(&flow, flows.begin()->second.data(), sizeof flow);
    EXPECT_EQ(client().flows, flow.flags & TRAP_FLOW_ENDED ? 0u : 1u);
  }
}

TEST_P(GuardOnTwoCpus, a_correction_of_the_count_loses_nothing_that_packets_pay) {
  set_class([](trap_guard_class& limits) { limits.syns = tokens(limit, 1); });
  put_flow();
  const std::uint64_t before = client().syns.full_at_ns;
  guard_->run("trap_guard", ticket_syn());
  const std::uint64_t paid = client().syns.full_at_ns;
  ASSERT_NE(paid, before);
  const auto secret = guard_->get<trap_client_keys>("client_keys", std::uint32_t{0});
  const auto key = client_key();
  for (const std::uint32_t flows : {4u, 2u, 0u}) {
    guard::OpenFlows open;
    if (flows != 0)
      open[key] = flows;
    Buckets<trap_client_bucket> buckets(guard_->map_fd("client_budgets"), bucket_count());
    EXPECT_EQ(guard::correct_flow_counts({&buckets[0], bucket_count()}, open, secret), 1u);
    EXPECT_EQ(client().flows, flows);
    EXPECT_EQ(client().syns.full_at_ns, paid);
  }
}

// Buckets are full, so that each CPU looks for a place, round after round.
TEST_P(GuardOnTwoCpus, a_new_client_that_two_cpus_bring_in_at_once_has_one_entry) {
  set_class([](trap_guard_class& limits) { limits.syns = tokens(1, 1); });
  Buckets<trap_client_bucket> buckets(guard_->map_fd("client_budgets"), bucket_count());
  const auto secret = guard_->get<trap_client_keys>("client_keys", std::uint32_t{0});
  const auto key = client_key();
  const std::uint64_t print = trap_client_print(&key, &secret);
  const Bytes syn = ticket_syn();
  const std::uint64_t passed = in_rounds(
      [&](std::uint32_t round) {
        EXPECT_LE(entries_of(buckets, print), 1u) << round;
        fill_buckets_of(buckets, print);
      },
      syn, syn);
  EXPECT_LE(passed, std::uint64_t{rounds}) << "it has paid twice from a bucket that held one";
  EXPECT_GE(passed, rounds * 9ULL / 10) << "and it came in";
}

// Each pays from its own.
TEST_P(GuardOnTwoCpus, two_clients_that_come_to_a_bucket_at_once_have_an_entry_each) {
  set_class([](trap_guard_class& limits) { limits.syns = tokens(1, 1); });
  Buckets<trap_client_bucket> buckets(guard_->map_fd("client_budgets"), bucket_count());
  const auto secret = guard_->get<trap_client_keys>("client_keys", std::uint32_t{0});
  const auto key = client_key(), other_key = client_key_beside(key, secret);
  const std::uint64_t print = trap_client_print(&key, &secret),
                      other = trap_client_print(&other_key, &secret);
  for (const bool full : {false, true}) {
    std::uint64_t entered = 0;
    const std::uint64_t passed = in_rounds(
        [&](std::uint32_t round) {
          EXPECT_LE(entries_of(buckets, print), 1u) << round;
          EXPECT_LE(entries_of(buckets, other), 1u) << round;
          entered += entries_of(buckets, print) + entries_of(buckets, other);
          buckets.clear();
          if (full)
            fill_buckets_of(buckets, print);
          put_announced(other_key);
        },
        ticket_syn(), announced_syn(other_key));
    EXPECT_LE(passed, 2ULL * rounds);
    EXPECT_GE(entered + 2, passed) << "full: " << full << "; the last round's are not looked at";
    EXPECT_GE(passed, rounds * 19ULL / 10) << "full: " << full;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GuardOnTwoCpus, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
