// SPDX-License-Identifier: Apache-2.0
// Pools behind one guard: an address takes the tags of its pool and no others, from tickets and
// from announcements, also after the configuration gave it another pool.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "guard/daemon/config/pool_config.h"
#include "guard/daemon/enforcement/enforcement.h"
#include "guard/daemon/maps/guard_maps.h"
#include "runtime/verdict_text.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

using namespace guard;

class GuardPools : public testing::TestWithParam<std::tuple<int, const char*>> {
protected:
  void SetUp() override {
    guard_ = &fresh_object(part_under_test(), constants_);
    config_.services = {{.name = "web", .port = 80}};
    config_.trap_servers = {address("trap-server")};
    configure({});
  }

  static int family() { return std::get<0>(GetParam()); }

  trap_address address(const std::string& name) const {
    return *parse_address(constants_.text("address.v" + std::to_string(family()) + "." + name));
  }

  PoolConfig pool(const std::string& name, const std::string& host, std::uint8_t tag) const {
    return {.name = name, .addresses = {{.address = address(host), .bits = 128}}, .tags = {tag}};
  }

  // As a reload does.
  void configure(const std::vector<PoolConfig>& pools) {
    config_.pools = pools;
    const MapFds fds = {.ports = guard_->map_fd("ports"),
                        .classes = guard_->map_fd("classes"),
                        .network_classes = guard_->map_fd("network_classes"),
                        .trap_servers = guard_->map_fd("trap_servers"),
                        .trusted = guard_->map_fd("trusted"),
                        .pools = guard_->map_fd("pools"),
                        .tag_pools = guard_->map_fd("tag_pools"),
                        .flow_keys = guard_->map_fd("flow_keys"),
                        .client_keys = guard_->map_fd("client_keys"),
                        .counters = guard_->map_fd("counters"),
                        .monitored = guard_->map_fd("monitored")};
    auto settings = guard_->get<trap_guard_settings>("settings", std::uint32_t{0});
    const PortSlots slots = {{80, 1}};
    const auto written = write_maps(fds, settings, config_, slots, slots);
    ASSERT_TRUE(written) << written.error().message;
    guard_->put("settings", std::uint32_t{0}, settings);
  }

  void set_enforced(bool enforced) {
    auto settings = guard_->get<trap_guard_settings>("settings", std::uint32_t{0});
    set_mode(settings, enforced ? Mode::enforce : Mode::monitor);
    guard_->put("settings", std::uint32_t{0}, settings);
  }

  // The name of the verdict that a packet got, enforced or not.
  std::string verdict_of(const Json& packet, const char* counters = "counters") {
    const auto before = count(counters);
    const Bytes frame = build_packet(packet, family(), constants_);
    const char* program = std::get<1>(GetParam());
    const bool is_ip = std::string(program) == "trap_guard_ip";
    action_ = guard_->run(program, is_ip ? Bytes(frame.begin() + 14, frame.end()) : frame).action;
    const auto after = count(counters);
    for (std::size_t i = 0; i < after.size(); i++)
      if (after[i] != before[i])
        return verdict_name(static_cast<int>(i));
    return "none";
  }

  // Packets to the service by verdict, in a map that counts for each CPU.
  std::vector<std::uint64_t> count(const char* map) const {
    std::vector<std::uint64_t> packets;
    std::vector<trap_count> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    for (std::uint32_t verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
      const std::uint32_t index = TRAP_VERDICT_SLOTS + verdict;
      EXPECT_EQ(bpf_map_lookup_elem(guard_->map_fd(map), &index, cpus.data()), 0);
      packets.push_back(0);
      for (const trap_count& cpu : cpus)
        packets.back() += cpu.packets;
    }
    return packets;
  }

  std::string syn(const std::string& to, const Json& options = Json::array()) {
    return verdict_of({{"ip", {{"dst", to}}},
                       {"tcp", {{"sport", port_++}, {"seq", "$isn"}, {"options", options}}}});
  }

  std::string ticket(const std::string& to, const std::string& name) {
    const std::string usual = syn(to, {{{"linux", 1}}, {{"ticket", "$ticket." + name}}});
    EXPECT_EQ(usual, syn(to, {{{"nop", 2}}, {{"ticket", "$ticket." + name}}}));
    return usual;
  }

  std::string announce(const std::string& to, const std::string& name) {
    return verdict_of(
        {{"ip", {{"src", "trap-server"}, {"dst", to}}},
         {"tcp",
          {{"sport", 80}, {"flags", "R"}, {"options", {{{"announce", "$announce." + name}}}}}}});
  }

  const TestConstants constants_;
  Object* guard_ = nullptr;
  GuardConfig config_;
  int port_ = 40000;
  std::uint32_t action_ = 0;
};

TEST_P(GuardPools, take_tickets_with_their_tags_only) {
  EXPECT_EQ(ticket("backend", "valid"), "pass-ticket");
  EXPECT_EQ(ticket("backend", "tagged"), "pass-ticket");
  configure({pool("seven", "backend", 7), pool("eight", "stranger", 8)});
  EXPECT_EQ(ticket("backend", "tagged"), "pass-ticket");
  EXPECT_EQ(ticket("backend", "valid"), "drop-ticket-pool");
  EXPECT_EQ(ticket("stranger", "tagged"), "drop-ticket-pool");
  EXPECT_EQ(ticket("stranger", "valid"), "drop-ticket-pool");
  EXPECT_EQ(ticket("public", "valid"), "pass-ticket"); // neither is in a pool
  EXPECT_EQ(ticket("public", "tagged"), "drop-ticket-pool");
  EXPECT_EQ(ticket("backend", "other-client"), "drop-ticket-mac"); // the MAC comes first
  EXPECT_EQ(syn("backend"), "drop-uninvited");
}

TEST_P(GuardPools, take_announcements_with_their_tags_only) {
  configure({pool("seven", "backend", 7), pool("eight", "stranger", 8)});
  EXPECT_EQ(announce("backend", "valid"), "drop-announce-pool");
  EXPECT_EQ(announce("stranger", "tagged"), "drop-announce-pool");
  EXPECT_EQ(syn("backend"), "drop-uninvited");
  EXPECT_EQ(announce("backend", "tagged"), "announce-accepted");
  EXPECT_EQ(syn("backend"), "pass-announced");
  EXPECT_EQ(syn("stranger"), "drop-uninvited");
  EXPECT_EQ(syn("public"), "drop-uninvited");
}

// A client that several services announce at one port.
TEST_P(GuardPools, displace_no_announcement_of_another_pool) {
  configure({pool("seven", "backend", 7)});
  EXPECT_EQ(announce("backend", "tagged"), "announce-accepted");
  EXPECT_EQ(announce("public", "long"), "announce-accepted"); // of tag 0, and later over
  EXPECT_EQ(syn("backend"), "pass-announced");
  EXPECT_EQ(syn("public"), "pass-announced");
  EXPECT_EQ(announce("backend", "tagged"), "announce-accepted");
  EXPECT_EQ(syn("public"), "pass-announced");
}

TEST_P(GuardPools, change_with_a_reload) {
  configure({pool("seven", "backend", 7)});
  EXPECT_EQ(announce("backend", "tagged"), "announce-accepted");
  configure({pool("seven", "backend", 9), pool("other", "stranger", 7)});
  EXPECT_EQ(ticket("backend", "tagged"), "drop-ticket-pool");
  EXPECT_EQ(ticket("stranger", "tagged"), "pass-ticket");
  EXPECT_EQ(syn("backend"), "drop-uninvited"); // the announcement's tag is another pool's now
  EXPECT_EQ(syn("stranger"), "drop-uninvited");
  configure({pool("other", "stranger", 9), pool("seven", "backend", 7)});
  EXPECT_EQ(syn("backend"), "pass-announced");
  configure({});
  EXPECT_EQ(ticket("stranger", "tagged"), "pass-ticket");
  EXPECT_EQ(ticket("backend", "valid"), "pass-ticket");
}

TEST_P(GuardPools, are_counted_and_let_through_where_nothing_is_enforced) {
  configure({pool("seven", "backend", 7)});
  set_enforced(false);
  EXPECT_EQ(verdict_of({{"ip", {{"dst", "backend"}}},
                        {"tcp", {{"seq", "$isn"}, {"options", {{{"ticket", "$ticket.valid"}}}}}}},
                       "monitored"),
            "drop-ticket-pool");
  EXPECT_EQ(action_, XDP_PASS);
}

INSTANTIATE_TEST_SUITE_P(both, GuardPools,
                         testing::Combine(testing::Values(4, 6),
                                          testing::Values("trap_guard", "trap_guard_ip")));

} // namespace
} // namespace trap::test
