// SPDX-License-Identifier: Apache-2.0
// The daemon's view of the table of flows: which live, which are open, and whose they are.
#include "guard/daemon/maps/tables.h"

#include "guard/daemon/running/unseen_answers.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "runtime/nanoseconds.h"

namespace trap::guard {
namespace {

constexpr std::uint64_t test_now = 5 * TRAP_FLOW_IDLE_NS;
constexpr trap_flow_keys test_secret = {{0x4164d8399f767c45, 0x5bc8fbbcbde5c099, 0xb0c11fdecb91ce37,
                                         0xd76d4330f1446bea, 0xa6eb8c9ebd69fe29, 0x87b0b125ec1d7da0,
                                         0xd7210dff076ce2ef, 0xc6a5387777330bdb, 0x3fc1ea36f17fd374,
                                         0x0d464138a6233255}};

trap_flow_key flow_key(const std::string& client, std::uint16_t client_port, std::uint16_t port) {
  trap_flow_key key = {};
  key.client = *parse_address(client);
  key.service = *parse_address("203.0.113.10");
  key.client_port = TRAP_BE16(client_port);
  key.service_port = TRAP_BE16(port);
  return key;
}

struct Flows {
  std::vector<trap_flow_bucket> buckets = std::vector<trap_flow_bucket>(64);

  void put(const trap_flow_key& key, std::uint8_t flags, std::uint64_t seen_ns = test_now) {
    for (int second = 0; second < 2; second++) {
      for (trap_flow_entry& entry :
           buckets[trap_flow_bucket_index(trap_flow_hash(&key, &test_secret), second, 64)]
               .entries) {
        if (entry.value.seen_ns != TRAP_FLOW_EMPTY)
          continue;
        entry.key = key;
        entry.value.seen_ns = seen_ns;
        entry.value.flags = flags;
        return;
      }
    }
    ADD_FAILURE() << "no room";
  }
};

GuardConfig config_with_scope(std::uint8_t scope_v4) {
  GuardConfig config;
  ServiceConfig service;
  service.name = "web";
  service.port = 80;
  service.scope_v4 = scope_v4;
  config.services = {service};
  return config;
}

TEST(Tables, open_flows_are_a_clients_by_scope) {
  Flows flows;
  flows.put(flow_key("198.51.100.1", 1000, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("198.51.100.1", 1001, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("198.51.100.2", 1000, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("198.51.100.2", 1001, 80),
            TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED);
  flows.put(flow_key("198.51.100.2", 1002, 80), 0);
  flows.put(flow_key("198.51.100.2", 1003, 80), TRAP_FLOW_BUDGETED, test_now - TRAP_FLOW_IDLE_NS);
  flows.put(flow_key("198.51.100.2", 1004, 81), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("198.51.100.2", 1005, 80), TRAP_FLOW_BUDGETED, TRAP_FLOW_CLAIMED);
  Flows half_open;
  half_open.put(flow_key("198.51.100.1", 1009, 80), TRAP_FLOW_BUDGETED | TRAP_FLOW_HALF_OPEN);
  half_open.put(flow_key("198.51.100.1", 1010, 80), TRAP_FLOW_BUDGETED | TRAP_FLOW_HALF_OPEN,
                test_now - TRAP_FLOW_HALF_OPEN_NS);
  const FlowCounts counts = count_flows(flows.buckets, half_open.buckets, test_now);
  EXPECT_EQ(counts.half_open, 1u);
  EXPECT_EQ(counts.established, 5u);
  EXPECT_EQ(counts.closing, 1u);
  EXPECT_EQ(counts.all(), 7u);

  const auto single = count_open_flows(flows.buckets, config_with_scope(32), {{80, 5}}, test_now);
  ASSERT_EQ(single.size(), 2u);
  trap_guard_client_key client = {};
  client.prefix = *parse_address("198.51.100.1");
  client.slot = 5;
  EXPECT_EQ(single.at(client), 2u);
  client.prefix = *parse_address("198.51.100.2");
  EXPECT_EQ(single.at(client), 1u);

  const auto carrier = count_open_flows(flows.buckets, config_with_scope(24), {{80, 5}}, test_now);
  client.prefix = *parse_address("198.51.100.0");
  ASSERT_EQ(carrier.size(), 1u);
  EXPECT_EQ(carrier.at(client), 3u);
}

TEST(Tables, connections_whose_answer_was_not_seen_are_counted_once) {
  Flows flows;
  constexpr std::uint8_t unseen = TRAP_FLOW_BUDGETED | TRAP_FLOW_UNSEEN;
  flows.put(flow_key("198.51.100.1", 1000, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("198.51.100.1", 1001, 80), unseen);
  flows.put(flow_key("2001:db8:1::1", 1001, 80), unseen | TRAP_FLOW_CLOSING);
  flows.put(flow_key("198.51.100.1", 1002, 80), TRAP_FLOW_UNSEEN); // of a trusted peer
  flows.put(flow_key("198.51.100.1", 1003, 80), unseen, TRAP_FLOW_CLAIMED);
  EXPECT_EQ(take_unseen(flows.buckets), 2u);
  EXPECT_EQ(take_unseen(flows.buckets), 0u);
  const FlowCounts counts = count_flows(flows.buckets, {}, test_now);
  EXPECT_EQ(counts.established, 3u) << "nothing else has changed";
  EXPECT_EQ(counts.closing, 1u);
}

TEST(UnseenAnswers, are_told_from_three_in_ten_minutes_on) {
  UnseenAnswers answers;
  answers.note(test_now, 2);
  EXPECT_FALSE(answers.are_many());
  answers.note(test_now + 300 * ns_per_s, 1);
  EXPECT_TRUE(answers.are_many());
  answers.note(test_now + 599 * ns_per_s, 0);
  EXPECT_TRUE(answers.are_many());
  answers.note(test_now + 600 * ns_per_s, 1);
  EXPECT_FALSE(answers.are_many()) << "the first two are over";
  EXPECT_EQ(answers.lately(), 2u);
  EXPECT_EQ(answers.total(), 4u);
}

TEST(Tables, open_flows_are_a_networks_by_service) {
  Flows flows;
  flows.put(flow_key("198.51.100.1", 1000, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("198.51.100.2", 1000, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("198.51.100.3", 1000, 80),
            TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED);
  flows.put(flow_key("198.51.101.1", 1000, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("2001:db8:1:1::1", 1000, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("2001:db8:1:2::1", 1000, 80), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("2001:db8:2::1", 1000, 81), TRAP_FLOW_BUDGETED);
  const auto open = count_open_network_flows(
      count_open_flows(flows.buckets, config_with_scope(32), {{80, 5}}, test_now));
  const auto key = [](const std::string& address) {
    const trap_guard_client_key client = {
        .prefix = *parse_address(address), .slot = 5, .reserved = 0};
    return trap_network_key(&client);
  };
  EXPECT_EQ(open.size(), 3u);
  EXPECT_EQ(open.at(key("198.51.100.77")), 2u);
  EXPECT_EQ(open.at(key("2001:db8:1::")), 2u);

  auto networks = std::make_unique<Networks>();
  trap_network* const made = networks->data();
  made[1].key = key("198.51.100.0");
  made[2].key = key("198.51.102.0");
  made[3].key = TRAP_NETWORK_CLAIMED;
  for (int i = 1; i <= 3; i++)
    made[i].flows = 9;
  correct_network_counts(*networks, open);
  EXPECT_EQ(made[1].flows, 2u);
  EXPECT_EQ(made[2].flows, 0u);
  EXPECT_EQ(made[3].flows, 9u) << "a packet is just making it";
}

TEST(Tables, a_flow_is_found_where_the_program_puts_it) {
  Flows flows;
  const auto key = flow_key("2001:db8::1", 1000, 80);
  EXPECT_FALSE(has_flow(flows.buckets, key, test_secret, test_now));
  flows.put(key, 0);
  EXPECT_TRUE(has_flow(flows.buckets, key, test_secret, test_now));
  EXPECT_FALSE(has_flow(flows.buckets, flow_key("2001:db8::1", 1001, 80), test_secret, test_now));
  EXPECT_FALSE(has_flow(flows.buckets, key, test_secret, test_now + TRAP_FLOW_IDLE_NS));
}

// Whatever bucket the hash leads to.
TEST(Tables, a_flow_that_was_heard_of_after_the_clock_was_read_is_live) {
  constexpr std::uint64_t now_ns = 10'000'000'000'000;
  trap_guard_flow flow = {};
  for (const std::uint64_t after_ns : {0, 1, 4'000'000}) {
    flow.seen_ns = now_ns + after_ns;
    EXPECT_TRUE(trap_flow_is_live(&flow, now_ns)) << after_ns;
  }
  flow.seen_ns = now_ns - TRAP_FLOW_IDLE_NS;
  EXPECT_FALSE(trap_flow_is_live(&flow, now_ns));
  flow.seen_ns = TRAP_FLOW_CLAIMED;
  EXPECT_FALSE(trap_flow_is_live(&flow, now_ns));
}

TEST(Tables, a_flow_is_both_ends_and_both_ports_exactly) {
  trap_flow_key key = {};
  for (int i = 0; i < 4; i++) {
    key.client.be32[i] = static_cast<__be32>(0x01020304 + i);
    key.service.be32[i] = static_cast<__be32>(0x11121314 + i);
  }
  key.client_port = TRAP_BE16(40000);
  key.service_port = TRAP_BE16(80);
  EXPECT_TRUE(trap_flow_key_equal(&key, &key));
  for (std::size_t byte = 0; byte < offsetof(trap_flow_key, consent); byte++) {
    trap_flow_key other = key;
    reinterpret_cast<unsigned char*>(&other)[byte] ^= 1;
    EXPECT_FALSE(trap_flow_key_equal(&key, &other)) << byte;
  }
}

trap_flow_keys random_secret(std::mt19937_64& random) {
  trap_flow_keys secret = {};
  for (__u64& word : secret.words)
    word = random();
  return secret;
}

// Flows chosen by an attacker that knows the hash and not its secret.
std::vector<trap_flow_key> ports_against_addresses() {
  std::vector<trap_flow_key> chosen;
  for (std::uint32_t i = 0; i < 1024; i++) { // both differ in the same bits of their words
    trap_flow_key key = flow_key("198.51.100.1", 0, 80);
    key.client.be32[3] ^= i;
    key.client_port = static_cast<__be16>(i);
    chosen.push_back(key);
  }
  return chosen;
}

std::vector<trap_flow_key> top_bits() {
  std::vector<trap_flow_key> chosen; // the highest bits of words, which products keep
  for (std::uint32_t i = 0; i < 1024; i++) {
    trap_flow_key key = flow_key("2001:db8::1", 40000, 80);
    for (int word = 0; word < 4; word++) {
      key.client.be32[word] ^= (i >> (2 * word) & 1) << 31;
      key.client.be32[word] ^= (i >> (2 * word + 1) & 1) << 2;
    }
    key.client_port = static_cast<__be16>(key.client_port ^ (i >> 8) << 14);
    chosen.push_back(key);
  }
  return chosen;
}

std::vector<trap_flow_key> rows() {
  std::vector<trap_flow_key> chosen;
  for (std::uint32_t i = 0; i < 1024; i++) {
    trap_flow_key key = flow_key("2001:db8::", 40000, 80);
    key.client.be32[3] = TRAP_BE32(i);
    chosen.push_back(key);
  }
  return chosen;
}

// Under random secrets, pairs of chosen flows share their first bucket, or both of them, no more
// often than flows at random would.
TEST(Tables, chosen_flows_collide_as_seldom_as_others) {
  constexpr std::uint32_t buckets = 65536;
  constexpr int secrets = 50;
  std::mt19937_64 random(13);
  for (const auto& chosen : {ports_against_addresses(), top_bits(), rows()}) {
    double pairs = 0, shared = 0, shared_both = 0;
    for (int i = 0; i < secrets; i++) {
      const trap_flow_keys secret = random_secret(random);
      std::map<std::uint32_t, double> first;
      std::map<std::pair<std::uint32_t, std::uint32_t>, double> both;
      for (const trap_flow_key& key : chosen) {
        const __u64 hash = trap_flow_hash(&key, &secret);
        const auto one = trap_flow_bucket_index(hash, 0, buckets);
        shared += first[one]++;
        shared_both += both[{one, trap_flow_bucket_index(hash, 1, buckets)}]++;
      }
      pairs += static_cast<double>(chosen.size() * (chosen.size() - 1)) / 2;
    }
    EXPECT_LT(shared, 2 * pairs / buckets);
    EXPECT_LE(shared_both, 2);
  }
}

trap_client_keys random_client_secret(std::mt19937_64& random) {
  trap_client_keys secret = {};
  for (__u64& word : secret.words)
    word = random();
  return secret;
}

trap_guard_client_key client_key(const std::string& prefix, std::uint32_t slot = 1) {
  return {.prefix = *parse_address(prefix), .slot = slot, .reserved = 0};
}

TEST(Tables, a_print_is_of_every_bit_of_a_clients_prefix_and_slot) {
  std::mt19937_64 random(1);
  const trap_client_keys secret = random_client_secret(random);
  std::set<std::uint64_t> prints, claims;
  const trap_guard_client_key key = client_key("2001:db8:1:2:3:4:5:6");
  const auto add = [&](const trap_guard_client_key& of) {
    const std::uint64_t print = trap_client_print(&of, &secret);
    EXPECT_NE(print & TRAP_CLIENT_IS_THERE, 0u);
    EXPECT_GT(trap_client_claim(print), std::uint64_t{TRAP_CLIENT_NOBODY});
    EXPECT_EQ(trap_client_claim(print) & TRAP_CLIENT_IS_THERE, 0u);
    prints.insert(print);
    claims.insert(trap_client_claim(print));
  };
  add(key);
  for (std::size_t bit = 0; bit < 8 * offsetof(trap_guard_client_key, reserved); bit++) {
    trap_guard_client_key other = key;
    reinterpret_cast<unsigned char*>(&other)[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
    add(other);
  }
  EXPECT_EQ(prints.size(), 8 * offsetof(trap_guard_client_key, reserved) + 1);
  EXPECT_EQ(claims.size(), prints.size());
}

// Six of ten places are taken by clients in rows, as ten million do at most.
TEST(Tables, clients_in_rows_find_room_and_are_found) {
  constexpr std::uint32_t buckets = 4096, clients = buckets * TRAP_CLIENT_WAYS * 6 / 10;
  std::mt19937_64 random(7);
  for (const std::string start : {"20.0.0.0", "2001:db8::"}) {
    const trap_client_keys secret = random_client_secret(random);
    std::vector<trap_client_bucket> table(buckets);
    std::uint32_t refused = 0, found = 0;
    const auto print_of = [&](std::uint32_t i) {
      trap_guard_client_key key = client_key(start);
      __be32& word = key.prefix.be32[start == "20.0.0.0" ? 3 : 1];
      word = TRAP_BE32(TRAP_FROM_BE32(word) + i);
      return trap_client_print(&key, &secret);
    };
    for (std::uint32_t i = 0; i < clients; i++) {
      trap_guard_client client = {};
      client.syns.full_at_ns = i + 1;
      client.announced_syns.full_at_ns = i + 2;
      client.packets.full_at_ns = i + 3;
      client.kib.full_at_ns = i + 4;
      client.flows = i;
      client.tag = 7;
      const bool room = place_client(table, print_of(i), client);
      refused += !room;
      client.flows = 0; // what is there stays
      EXPECT_EQ(place_client(table, print_of(i), client), room);
    }
    EXPECT_LE(refused, clients / 200);
    for (std::uint32_t i = 0; i < clients; i++) {
      const trap_guard_client* client = find_client(table, print_of(i));
      if (!client)
        continue;
      found++;
      ASSERT_EQ(client->syns.full_at_ns, i + 1);
      ASSERT_EQ(client->announced_syns.full_at_ns, i + 2);
      ASSERT_EQ(client->packets.full_at_ns, i + 3);
      ASSERT_EQ(client->kib.full_at_ns, i + 4);
      ASSERT_EQ(client->flows, i);
      ASSERT_EQ(client->tag, 7);
    }
    EXPECT_EQ(found, clients - refused);
    EXPECT_FALSE(find_client(table, print_of(clients)));
  }
}

TEST(Tables, counts_of_clients_flows_are_corrected_and_nothing_else) {
  std::mt19937_64 random(3);
  const trap_client_keys secret = random_client_secret(random);
  std::vector<trap_client_bucket> table(64);
  const auto print = [&](const std::string& prefix) {
    const trap_guard_client_key key = client_key(prefix);
    return trap_client_print(&key, &secret);
  };
  trap_guard_client client = {};
  client.syns.full_at_ns = 5;
  client.flows = 9;
  for (const char* prefix : {"198.51.100.1", "198.51.100.2"})
    ASSERT_TRUE(place_client(table, print(prefix), client));
  client.flows = 0;
  ASSERT_TRUE(place_client(table, print("198.51.100.3"), client));
  trap_client_bucket& bucket = table[trap_client_bucket_index(print("198.51.100.4"), 0, 64)];
  bucket.prints[7] = trap_client_claim(print("198.51.100.4")); // a packet is just making it
  bucket.clients[7].flows = 9;
  const OpenFlows open = {{client_key("198.51.100.1"), 4},
                          {client_key("198.51.100.3"), 2},
                          {client_key("198.51.100.4"), 1},
                          {client_key("198.51.100.5"), 1}};
  EXPECT_EQ(correct_flow_counts(table, open, secret), 3u);
  EXPECT_EQ(find_client(table, print("198.51.100.1"))->flows, 4u);
  EXPECT_EQ(find_client(table, print("198.51.100.2"))->flows, 0u);
  EXPECT_EQ(find_client(table, print("198.51.100.3"))->flows, 2u);
  EXPECT_EQ(find_client(table, print("198.51.100.3"))->syns.full_at_ns, 5u);
  EXPECT_EQ(bucket.clients[7].flows, 9u);
}

// The client without open flows whose budgets are full first goes first.
TEST(Tables, a_client_loses_its_flows_or_what_its_budgets_wait_for) {
  trap_guard_client client = {};
  EXPECT_EQ(trap_client_loss(&client), 0u);
  std::uint64_t last = 0;
  trap_bucket* const budgets[] = {&client.kib, &client.syns, &client.packets,
                                  &client.announced_syns};
  for (std::uint64_t full_at_ns = 10; trap_bucket * budget : budgets) {
    budget->full_at_ns = full_at_ns *= 10;
    EXPECT_GT(trap_client_loss(&client), last);
    last = trap_client_loss(&client);
  }
  trap_guard_client busy = {};
  busy.flows = 1;
  EXPECT_GT(trap_client_loss(&busy), last);
}

// Silent flows that close, by a FIN or RST that their socket has ignored.
TEST(Tables, a_closing_flow_whose_socket_lives_is_taken_back) {
  constexpr std::uint64_t silent = test_now - TRAP_FLOW_CLOSING_NS / 2;
  Flows flows;
  const auto here = flow_key("198.51.100.1", 1000, 80), gone = flow_key("198.51.100.1", 1001, 80),
             fresh = flow_key("198.51.100.1", 1002, 80), ended = flow_key("198.51.100.1", 1003, 80),
             over = flow_key("198.51.100.1", 1004, 80), other = flow_key("198.51.100.1", 1005, 81);
  constexpr std::uint8_t closing = TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING;
  flows.put(here, closing, silent);
  flows.put(gone, closing, silent);
  flows.put(fresh, closing, silent + 1);
  flows.put(ended, closing | TRAP_FLOW_ENDED, silent);
  flows.put(over, closing, test_now - TRAP_FLOW_CLOSING_NS);
  flows.put(other, closing, silent);
  const auto fading = find_fading(flows.buckets, config_with_scope(32), test_now);
  EXPECT_EQ(fading.size(), 2u);
  EXPECT_EQ(revive_flows(fading, {here, fresh, ended, over, other}, test_now), 1u);
  const FlowCounts later =
      count_flows(flows.buckets, {}, test_now + TRAP_FLOW_CLOSING_NS + TRAP_FLOW_CLOSING_NS / 2);
  EXPECT_EQ(later.established, 1u);
  EXPECT_EQ(later.all(), 1u);
  EXPECT_TRUE(has_flow(flows.buckets, here, test_secret, test_now + TRAP_FLOW_CLOSING_NS));
}

// A client's half-open flows are in few buckets, all of them in those of its network, whose
// clients, all together, have more.
// For marks of many times, also around the ends of the mark's 2^16 units.
TEST(Tables, a_mark_lasts_as_long_as_a_half_open_flow_and_little_longer) {
  constexpr std::uint64_t round_ns = 1ULL << 46;
  constexpr std::uint64_t one_s = 1'000'000'000;
  for (std::uint64_t step = 0; step < 4096; step++) {
    const std::uint64_t made_ns = 3 * round_ns - 100 * one_s + step * 77'777'777;
    const std::uint16_t mark = trap_half_open_mark(made_ns);
    EXPECT_TRUE(trap_may_be_half_open(mark, made_ns - 10'000'000)) << "of a CPU a tick ahead";
    for (std::uint64_t age_ns = 0; age_ns < TRAP_FLOW_HALF_OPEN_NS; age_ns += one_s / 3)
      ASSERT_TRUE(trap_may_be_half_open(mark, made_ns + age_ns)) << made_ns << " + " << age_ns;
    ASSERT_TRUE(trap_may_be_half_open(mark, made_ns + TRAP_FLOW_HALF_OPEN_NS));
    for (std::uint64_t age_s = 80; age_s < 70'000; age_s += 997)
      ASSERT_FALSE(trap_may_be_half_open(mark, made_ns + age_s * one_s)) << age_s;
  }
}

std::uint32_t half_open_index(const trap_flow_key& key, const trap_flow_keys& secret,
                              std::uint8_t scope_v4 = TRAP_SCOPE_V4,
                              std::uint8_t scope_v6 = TRAP_SCOPE_V6) {
  const trap_guard_port port = {.slot = 1, .scope_v4 = scope_v4, .scope_v6 = scope_v6, .flags = 0};
  return trap_half_open_index(&key, trap_flow_hash(&key, &secret), &port, &secret,
                              TRAP_HALF_OPEN_BUCKETS);
}

TEST(Tables, half_open_flows_are_in_the_buckets_of_client_and_network) {
  std::mt19937_64 random(1);
  for (const std::string network : {"198.51.100.", "2001:db8:7:"}) {
    const trap_flow_keys secret = random_secret(random);
    std::set<std::uint32_t> of_network;
    for (int client = 1; client < 200; client++) {
      std::set<std::uint32_t> of_client;
      for (std::uint16_t port = 1; port < 1000; port++) {
        const auto key = flow_key(network + (network.back() == ':' ? fmt::format("{:x}::1", client)
                                                                   : fmt::to_string(client)),
                                  port, 80);
        of_client.insert(half_open_index(key, secret));
      }
      EXPECT_EQ(of_client.size(), std::size_t{TRAP_HALF_OPEN_BUCKETS_OF_CLIENT});
      of_network.insert(of_client.begin(), of_client.end());
    }
    EXPECT_EQ(of_network.size(), std::size_t{TRAP_HALF_OPEN_BUCKETS_OF_NETWORK});
  }
}

// Any address of a prefix of that many bits.
trap_address address_in(std::mt19937_64& random, const std::string& prefix, unsigned bits) {
  const trap_address base = *parse_address(prefix);
  const std::uint32_t family = trap_address_is_v4(&base) ? TRAP_IPV4 : TRAP_IPV6;
  trap_address any = base;
  for (int word = family == TRAP_IPV4 ? 3 : 0; word < 4; word++)
    any.be32[word] = static_cast<__be32>(random());
  const trap_address kept = trap_address_mask(any, family, bits);
  trap_address made = trap_address_mask(base, family, bits);
  for (int half = 0; half < 2; half++)
    made.raw64[half] |= any.raw64[half] ^ kept.raw64[half];
  return made;
}

// Whatever part of its prefix a client sends from, and whatever clients are beside it.
TEST(Tables, half_open_flows_of_a_client_are_as_few_whatever_its_scope) {
  std::mt19937_64 random(1);
  const trap_flow_keys secret = random_secret(random);
  const auto buckets_of = [&](const std::string& prefix, unsigned bits, std::uint8_t scope) {
    std::set<std::uint32_t> buckets;
    for (int flow = 0; flow < 4000; flow++) {
      trap_flow_key key = flow_key(prefix, static_cast<std::uint16_t>(flow), 80);
      key.client = address_in(random, prefix, bits);
      buckets.insert(half_open_index(key, secret, scope, scope));
    }
    return buckets.size();
  };
  for (const std::uint8_t scope : {8, 16, 20, 24, 28, 30, 32})
    EXPECT_EQ(buckets_of("198.51.100.64", scope, scope), TRAP_HALF_OPEN_BUCKETS_OF_CLIENT)
        << int{scope};
  for (const std::uint8_t scope : {28, 30})
    EXPECT_EQ(buckets_of("198.51.100.64", 24, scope), TRAP_HALF_OPEN_BUCKETS_OF_NETWORK)
        << int{scope};
  for (const std::uint8_t scope : {16, 32, 47, 48, 56, 60, 64, 80, 96, 127, 128})
    EXPECT_EQ(buckets_of("2001:db8:7:1::", scope, scope), TRAP_HALF_OPEN_BUCKETS_OF_CLIENT)
        << int{scope};
  for (const std::uint8_t scope : {56, 64, 96, 128})
    EXPECT_EQ(buckets_of("2001:db8:7:1::", 48, scope), TRAP_HALF_OPEN_BUCKETS_OF_NETWORK)
        << int{scope};
  for (const std::uint8_t scope : {96, 128})
    EXPECT_GT(buckets_of("2001:db8:7:1::", 64, scope), TRAP_HALF_OPEN_BUCKETS_OF_CLIENT)
        << "hosts of a /64 are clients by themselves";
}

// An upgrade from a version that placed flows by another hash, or another max_flows.
TEST(Tables, flows_of_another_table_are_entered_where_they_are_looked_for) {
  std::vector<trap_flow_bucket> buckets(64);
  std::vector<trap_flow_key> keys;
  const auto enter = [&](const trap_flow_key& key) {
    return place_flow(buckets,
                      {key,
                       {.seen_ns = test_now,
                        .bytes_left = 1,
                        .packets_left = 2,
                        .tag = 7,
                        .flags = TRAP_FLOW_BUDGETED,
                        .consent_kind = 0,
                        .reserved = 0,
                        .isn = 0}},
                      test_secret, test_now);
  };
  for (std::uint16_t port = 1000; port < 1060; port++) {
    keys.push_back(flow_key("198.51.100.1", port, 80));
    EXPECT_TRUE(enter(keys.back()));
  }
  for (const trap_flow_key& key : keys) {
    EXPECT_TRUE(has_flow(buckets, key, test_secret, test_now));
    EXPECT_TRUE(enter(key)) << "it is there";
  }
  EXPECT_EQ(count_flows(buckets, {}, test_now).all(), keys.size()) << "none is there twice";
  int refused = 0;
  for (std::uint16_t port = 2000; port < 2400; port++)
    refused += !enter(flow_key("198.51.100.1", port, 80));
  EXPECT_GT(refused, 400 - 4 * 64);
  for (const trap_flow_key& key : keys)
    EXPECT_TRUE(has_flow(buckets, key, test_secret, test_now)) << "a full table keeps what it has";
}

TEST(Tables, announcements_of_another_table_are_entered_where_they_are_looked_for) {
  constexpr __u64 table_keys[2] = {0x1234567890abcdefULL, 0xfedcba0987654321ULL};
  std::vector<trap_announced_bucket> buckets(2);
  int entered = 0;
  for (__be16 port = 1; port <= 40; port++) {
    trap_announced_entry entry = {};
    entry.key.client = flow_key("198.51.100.1", 1, 80).client;
    entry.key.port = port;
    entry.key.scope = 32;
    entry.value.until_s = 100;
    entry.value.tag = 3;
    if (!place_announced(buckets, entry, table_keys))
      continue;
    entered++;
    EXPECT_TRUE(place_announced(buckets, entry, table_keys)) << "it is there";
    const __u64 hash = trap_announced_hash(&entry.key, table_keys);
    const trap_announced_bucket& bucket = buckets[trap_announced_bucket_index(hash, 2)];
    EXPECT_NE(trap_announced_may_hold(bucket.print_word, trap_announced_print(hash)), 0u);
  }
  EXPECT_EQ(entered, 2 * TRAP_ANNOUNCED_WAYS);
  EXPECT_EQ(count_announced(buckets, 99), 2u * TRAP_ANNOUNCED_WAYS) << "none is there twice";
}

TEST(Tables, announcements_that_hold) {
  std::vector<trap_announced_bucket> buckets(4);
  buckets[1].entries[3].value.until_s = 100;
  buckets[2].entries[0].value.until_s = 101;
  EXPECT_EQ(count_announced(buckets, 99), 2u);
  EXPECT_EQ(count_announced(buckets, 100), 1u);
}

// Addresses come in rows, and keys are random: no key may lay a row upon few buckets.
TEST(Tables, rows_of_announced_clients_are_spread) {
  constexpr std::uint32_t buckets = 8192, clients = 20000;
  const __u64 keys[][2] = {{3, 4},
                           {0x0123456789abcdef, 0xfedcba9876543210},
                           {1ULL << 40, 1ULL << 41},
                           {~0ULL, ~0ULL << 32}};
  for (const auto& table_keys : keys) {
    std::vector<int> used(buckets);
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < clients; i++) {
      trap_announced_key key = {};
      key.client = *parse_address("198.18.0.0");
      key.client.be32[3] = TRAP_BE32(TRAP_FROM_BE32(key.client.be32[3]) + i);
      key.port = TRAP_BE16(80);
      key.scope = 32;
      kept += used[trap_announced_bucket_index(trap_announced_hash(&key, table_keys), buckets)]++ <
              TRAP_ANNOUNCED_WAYS;
    }
    EXPECT_GT(kept, clients * 99 / 100) << "table keys " << table_keys[0] << ", " << table_keys[1];
  }
}

} // namespace
} // namespace trap::guard
