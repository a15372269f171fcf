// SPDX-License-Identifier: Apache-2.0
// The daemon's view of the table of flows: which live, which are open, and whose they are.
#include "guard/daemon/maps/tables.h"

#include <gtest/gtest.h>

#include <cstddef>

#include <vector>

namespace trap::guard {
namespace {

constexpr std::uint64_t kNow = 5 * TRAP_FLOW_IDLE_NS;
constexpr __u64 kTableKeys[2] = {3, 4};

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

  void put(const trap_flow_key& key, std::uint8_t flags, std::uint64_t seen_ns = kNow) {
    for (int second = 0; second < 2; second++) {
      for (trap_flow_entry& entry :
           buckets[trap_flow_bucket_index(trap_flow_hash(&key, kTableKeys), second, 64)].entries) {
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
  flows.put(flow_key("198.51.100.2", 1001, 80), TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING);
  flows.put(flow_key("198.51.100.2", 1002, 80), 0);
  flows.put(flow_key("198.51.100.2", 1003, 80), TRAP_FLOW_BUDGETED, kNow - TRAP_FLOW_IDLE_NS);
  flows.put(flow_key("198.51.100.2", 1004, 81), TRAP_FLOW_BUDGETED);
  flows.put(flow_key("198.51.100.2", 1005, 80), TRAP_FLOW_BUDGETED, TRAP_FLOW_CLAIMED);
  EXPECT_EQ(count_flows(flows.buckets, kNow), 6u);

  const auto single = count_open_flows(flows.buckets, config_with_scope(32), {{80, 5}}, kNow);
  ASSERT_EQ(single.size(), 2u);
  trap_guard_client_key client = {};
  client.prefix = *parse_address("198.51.100.1");
  client.slot = 5;
  EXPECT_EQ(single.at(client), 2u);
  client.prefix = *parse_address("198.51.100.2");
  EXPECT_EQ(single.at(client), 1u);

  const auto carrier = count_open_flows(flows.buckets, config_with_scope(24), {{80, 5}}, kNow);
  client.prefix = *parse_address("198.51.100.0");
  ASSERT_EQ(carrier.size(), 1u);
  EXPECT_EQ(carrier.at(client), 3u);
}

TEST(Tables, a_flow_is_found_where_the_program_puts_it) {
  Flows flows;
  const auto key = flow_key("2001:db8::1", 1000, 80);
  EXPECT_FALSE(has_flow(flows.buckets, key, kTableKeys, kNow));
  flows.put(key, 0);
  EXPECT_TRUE(has_flow(flows.buckets, key, kTableKeys, kNow));
  EXPECT_FALSE(has_flow(flows.buckets, flow_key("2001:db8::1", 1001, 80), kTableKeys, kNow));
  EXPECT_FALSE(has_flow(flows.buckets, key, kTableKeys, kNow + TRAP_FLOW_IDLE_NS));
}

// Whatever bucket the hash leads to.
TEST(Tables, a_flow_is_both_ends_and_both_ports_exactly) {
  trap_flow_key key = {};
  for (int i = 0; i < 4; i++) {
    key.client.be32[i] = static_cast<__be32>(0x01020304 + i);
    key.service.be32[i] = static_cast<__be32>(0x11121314 + i);
  }
  key.client_port = TRAP_BE16(40000);
  key.service_port = TRAP_BE16(80);
  EXPECT_TRUE(trap_flow_key_equal(&key, &key));
  for (std::size_t byte = 0; byte < offsetof(trap_flow_key, reserved); byte++) {
    trap_flow_key other = key;
    reinterpret_cast<unsigned char*>(&other)[byte] ^= 1;
    EXPECT_FALSE(trap_flow_key_equal(&key, &other)) << byte;
  }
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
