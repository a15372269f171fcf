// SPDX-License-Identifier: Apache-2.0
// Packets of one client on two CPUs at once: no budget lets more through than it has, and the count
// of open flows is right in the end, however the races go.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "dataplane/verdict.h"
#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr int tries = 3;
constexpr int packets = 100'000; // on each CPU
constexpr std::uint64_t limit = 20'000;
constexpr std::uint8_t tag = 7;

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
    put("admitted", {{"prefix", "client-scope"}, {"slot", 1}, {"flows", 1}, {"tag", tag}});
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
    const Entries clients = guard_->entries("admitted");
    trap_guard_client found = {};
    EXPECT_EQ(clients.size(), 1u);
    if (!clients.empty())
      std::memcpy(&found, clients.begin()->second.data(), sizeof found);
    return found;
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
  for (const auto& [change, left] : {std::pair{3, 4u}, {-2, 2u}, {-5, 0u}}) {
    const Entries clients = guard_->entries("admitted");
    trap_flows_change argument = {.client = {}, .flows = change, .reserved = 0};
    std::memcpy(&argument.client, clients.begin()->first.data(), sizeof argument.client);
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.ctx_in = &argument;
    options.ctx_size_in = sizeof argument;
    ASSERT_EQ(bpf_prog_test_run_opts(guard_->program_fd("trap_guard_correct"), &options), 0);
    EXPECT_EQ(client().flows, left);
    EXPECT_EQ(client().syns.full_at_ns, paid);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GuardOnTwoCpus, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
