// SPDX-License-Identifier: Apache-2.0
// A guard on a router before a service whose sockets are elsewhere, and one announced client of it.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "dataplane/verdict.h"
#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {

class Elsewhere : public testing::TestWithParam<int> {
protected:
  static constexpr std::uint32_t client_isn = 1000, service_isn = 5000, slot = 3;
  static constexpr int service_port = 83, first_port = 40000;
  static constexpr std::uint8_t tag = 7;
  static constexpr std::uint32_t flows_of_client = 20;

  void SetUp() override {
    guard_ = &fresh_object(part_under_test(), constants_);
    trap_guard_class limits = {};
    limits.flows = flows_of_client;
    guard_->put("classes", std::uint32_t{tag}, limits);
    const std::uint64_t now = constants_.moment("now")["unix_s"];
    const Json entry = {{"client", "client-scope"},
                        {"port", service_port},
                        {"scope", "$scope"},
                        {"in_s", 600},
                        {"tag", tag}};
    const DescribedEntry described =
        describe_entry("announced", entry, GetParam(), constants_, now);
    guard_->put("announced", described.key, described.value);
  }

  // A segment of the client, or of whoever says so. Does the guard judge it so?
  bool is(trap_verdict verdict, const std::string& flags, std::uint32_t seq = client_isn + 1,
          std::uint32_t ack = service_isn + 1, int port = first_port, int payload = 0) const {
    const std::uint64_t before = guard_->counters(slot)[verdict];
    arrives(flags, seq, ack, port, payload);
    return guard_->counters(slot)[verdict] - before == 1;
  }

  // Does the guard let it pass?
  bool arrives(const std::string& flags, std::uint32_t seq, std::uint32_t ack,
               int port = first_port, int payload = 0) const {
    const Json packet = {
        {"ip", {{"dst", "backend"}}},
        {"tcp",
         {{"sport", port}, {"dport", service_port}, {"flags", flags}, {"seq", seq}, {"ack", ack}}},
        {"payload", payload}};
    return guard_->run("trap_guard", build_packet(packet, GetParam(), constants_)).action ==
           XDP_PASS;
  }

  void leaves(const std::string& flags, std::uint32_t ack = client_isn + 1, int payload = 0,
              int port = first_port, std::uint32_t seq = service_isn + 1) const {
    const Json packet = {{"ip", {{"src", "backend"}, {"dst", "client"}}},
                         {"tcp",
                          {{"sport", service_port},
                           {"dport", port},
                           {"flags", flags},
                           {"seq", flags == "SA" ? service_isn : seq},
                           {"ack", ack}}},
                         {"payload", payload}};
    const Bytes frame = build_packet(packet, GetParam(), constants_);
    EXPECT_EQ(guard_->run("trap_guard_egress", frame).frame, frame);
  }

  void connect(int port = first_port) const {
    ASSERT_TRUE(is(TRAP_PASS_ANNOUNCED, "S", client_isn, 0, port)) << port;
    leaves("SA", client_isn + 1, 0, port);
    ASSERT_TRUE(is(TRAP_PASS_FLOW, "A", client_isn + 1, service_isn + 1, port)) << port;
  }

  // Open flows of the client, as they are counted.
  std::uint32_t open() const {
    trap_guard_client found = {};
    const Entries clients = guard_->entries("client_budgets");
    if (!clients.empty())
      std::memcpy(&found, clients.begin()->second.data(), sizeof found);
    return found.flows;
  }

  std::uint8_t flags() const {
    trap_guard_flow found = {};
    const Entries flows = guard_->entries("flows");
    EXPECT_EQ(flows.size(), 1u);
    std::memcpy(&found, flows.begin()->second.data(), sizeof found);
    return found.flags;
  }

  // As if every flow had been silent so long.
  void wait_s(std::uint64_t seconds) const {
    for (const char* map : {"flows", "half_open"})
      for (std::uint32_t i = 0; i < buckets_of(map); i++) {
        auto bucket = guard_->get<trap_flow_bucket>(map, i);
        bool has_flows = false;
        for (trap_flow_entry& entry : bucket.entries)
          if (entry.value.seen_ns > TRAP_FLOW_CLAIMED) {
            entry.value.seen_ns -= seconds * 1'000'000'000;
            has_flows = true;
          }
        if (has_flows) {
          ASSERT_EQ(bpf_map_update_elem(guard_->map_fd(map), &i, &bucket, BPF_ANY), 0);
        }
      }
  }

  std::uint32_t buckets_of(const char* map) const {
    return bpf_map__max_entries(bpf_object__find_map_by_name(guard_->object(), map));
  }

  const TestConstants constants_;
  Object* guard_ = nullptr;
};

} // namespace trap::test
