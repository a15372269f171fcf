// SPDX-License-Identifier: Apache-2.0
// The order in which trap-guard's maps are written: after every single write between random pairs
// of configurations, a packet meets the old or the new of its port and of its source's rights, and
// no tag is taken at an address of a pool that neither gives it.
#include <gmock/gmock.h>

#include <random>

#include "dataplane/verdict.h"
#include "guard/daemon/maps/guard_maps.h"
#include "tests/unit/maps/memory_maps.h"

namespace trap::test {
namespace {

using namespace guard;

const std::vector<std::uint16_t> all_ports = {80, 81, 443, 8080};
const std::vector<std::string> all_sources = {"192.0.2.1", "192.0.2.200", "198.51.100.1",
                                              "2001:db8::1"};
const std::vector<std::string> all_prefixes = {"192.0.2.0/24", "192.0.2.128/25", "198.51.100.1",
                                               "2001:db8::/32"};
const std::vector<std::string> all_destinations = {"198.51.100.20", "198.51.100.24",
                                                   "198.51.100.25", "2001:db8:198::20"};
constexpr std::uint8_t all_tags = 4;
const std::vector<std::string> all_servers = {"203.0.113.1", "203.0.113.2", "2001:db8:113::1"};

trap_address address(const std::string& text) {
  return *parse_address(text);
}

class GuardOrder : public testing::Test {
protected:
  void SetUp() override {
    fds_ = {.ports = store_.add(MapKind::array, 4, sizeof(trap_guard_port), 65536),
            .classes = store_.add(MapKind::array, 4, sizeof(trap_guard_class), TRAP_GUARD_TAGS),
            .network_classes =
                store_.add(MapKind::array, 4, sizeof(trap_network_class), TRAP_GUARD_TAGS),
            .trap_servers =
                store_.add(MapKind::hash, 16, sizeof(trap_guard_peer), TRAP_GUARD_MAX_TRAP_SERVERS),
            .trusted =
                store_.add(MapKind::trie, sizeof(trap_trusted_key), 1, TRAP_GUARD_MAX_TRUSTED),
            .pools = store_.add(MapKind::trie, sizeof(trap_trusted_key), sizeof(__u32),
                                TRAP_GUARD_MAX_POOL_PREFIXES),
            .tag_pools = store_.add(MapKind::array, 4, sizeof(__u32), TRAP_GUARD_TAGS),
            .flow_keys = -1,
            .client_keys = -1,
            .counters = store_.add(MapKind::array, 4, sizeof(trap_count), 1 << 20),
            .monitored = store_.add(MapKind::array, 4, sizeof(trap_count), 1 << 20)};
  }

  bool chance(unsigned of, unsigned all) { return random_() % all < of; }

  // Addresses and tags wander between three pools, and out of them.
  std::vector<PoolConfig> pools() {
    std::vector<PoolConfig> made = {{"a", {}, {}}, {"b", {}, {}}, {"c", {}, {}}};
    const auto any = [&]() -> PoolConfig* {
      const unsigned at = random_() % 4;
      return at < made.size() ? &made[at] : nullptr;
    };
    for (const std::string& text : all_destinations)
      if (PoolConfig* pool = any())
        pool->addresses.push_back(*parse_prefix(text));
    for (std::uint8_t tag = 0; tag < all_tags; tag++)
      if (PoolConfig* pool = any())
        pool->tags.push_back(tag);
    return chance(1, 4) ? std::vector<PoolConfig>() : made;
  }

  GuardConfig config() {
    GuardConfig made;
    for (const std::uint16_t port : all_ports) {
      if (chance(1, 2))
        made.services.push_back({.name = "s" + std::to_string(port),
                                 .port = port,
                                 .scope_v4 = chance(1, 2) ? __u8{32} : __u8{24},
                                 .sockets_here = chance(1, 2)});
    }
    for (const std::string& prefix : all_prefixes) {
      if (chance(1, 3))
        made.trusted.push_back(*parse_prefix(prefix));
    }
    for (const std::string& server : all_servers) {
      if (chance(1, 2))
        made.trap_servers.push_back(address(server));
    }
    made.pools = pools();
    made.announced_per_network_per_s = chance(1, 2) ? 100 : 0;
    made.icmp_drops = chance(1, 2);
    return made;
  }

  Result<void> go_to(const GuardConfig& next) {
    after_ = next;
    const auto slots = plan_slots(after_, slots_);
    slots_after_ = *slots;
    store_.after_write = [this] { expect_old_or_new(); };
    auto written = write_maps(fds_, settings_, after_, slots_after_, slots_, store_);
    store_.after_write = [] {};
    before_ = after_;
    slots_ = slots_after_;
    expect_old_or_new();
    expect_written_tags();
    return written;
  }

  // --- a packet's way

  trap_guard_port met_port(std::uint16_t port) {
    return *store_.read<trap_guard_port>(fds_.ports, std::uint32_t{port});
  }
  bool met_trust(const trap_address& source) {
    trap_trusted_key key = {.bits = 128, .address = {}};
    std::memcpy(key.address, &source, sizeof key.address);
    return settings_.flags & TRAP_GUARD_TRUSTS &&
           store_.read<std::uint8_t>(fds_.trusted, key).has_value();
  }
  bool met_server(const trap_address& source) {
    return store_.read<trap_guard_peer>(fds_.trap_servers, source).has_value();
  }

  bool met_tag(const trap_address& destination, std::uint8_t tag) {
    if (!(settings_.flags & TRAP_GUARD_POOLS))
      return true;
    trap_trusted_key key = {.bits = 128, .address = {}};
    std::memcpy(key.address, &destination, sizeof key.address);
    return store_.read<__u32>(fds_.tag_pools, std::uint32_t{tag}).value_or(TRAP_POOL_CHANGES) ==
           store_.read<__u32>(fds_.pools, key).value_or(TRAP_NO_POOL);
  }

  // --- and what the configurations say

  static bool takes(const GuardConfig& config, const trap_address& destination, std::uint8_t tag) {
    const auto of_address = std::ranges::find_if(config.pools, [&](const PoolConfig& pool) {
      return std::ranges::any_of(pool.addresses,
                                 [&](const Prefix& prefix) { return covers(prefix, destination); });
    });
    const auto of_tag = std::ranges::find_if(config.pools, [&](const PoolConfig& pool) {
      return std::ranges::find(pool.tags, tag) != pool.tags.end();
    });
    return of_address == of_tag;
  }

  static const guard::ServiceConfig* service(const GuardConfig& config, std::uint16_t port) {
    const auto found = std::ranges::find(config.services, port, &guard::ServiceConfig::port);
    return found == config.services.end() ? nullptr : &*found;
  }
  static bool is_port_of(const GuardConfig& config, const PortSlots& slots, std::uint16_t port,
                         const trap_guard_port& met) {
    const guard::ServiceConfig* wanted = service(config, port);
    if (!wanted)
      return met.slot == 0;
    return met.slot == slots.at(port) && met.scope_v4 == wanted->scope_v4 &&
           met.scope_v6 == wanted->scope_v6 &&
           (met.flags & TRAP_PORT_SOCKETS) == (wanted->sockets_here ? TRAP_PORT_SOCKETS : 0);
  }
  static bool trusts(const GuardConfig& config, const trap_address& source) {
    return std::ranges::any_of(config.trusted,
                               [&](const Prefix& prefix) { return covers(prefix, source); });
  }
  static bool hears(const GuardConfig& config, const trap_address& source) {
    return std::ranges::any_of(config.trap_servers, [&](const trap_address& server) {
      return trap_address_equal(&server, &source);
    });
  }

  void fail(const std::string& what) {
    if (failures_++ < 5)
      ADD_FAILURE() << "pair " << pair_ << ", write " << store_.writes() << ": " << what;
  }

  void expect_no_foreign_tag() {
    for (const std::string& text : all_destinations) {
      for (std::uint8_t tag = 0; tag < all_tags; tag++) {
        const trap_address destination = address(text);
        if (met_tag(destination, tag) && !takes(before_, destination, tag) &&
            !takes(after_, destination, tag))
          fail(text + " takes tag " + std::to_string(tag));
      }
    }
  }

  void expect_written_tags() {
    for (const std::string& text : all_destinations)
      for (std::uint8_t tag = 0; tag < all_tags; tag++)
        if (met_tag(address(text), tag) != takes(after_, address(text), tag))
          fail(text + " and tag " + std::to_string(tag) + " are not as written");
  }

  void expect_old_or_new() {
    expect_no_foreign_tag();
    for (const std::uint16_t port : all_ports) {
      const trap_guard_port met = met_port(port);
      const bool is_old = is_port_of(before_, slots_, port, met);
      const bool is_new = is_port_of(after_, slots_after_, port, met);
      const std::string name = "port " + std::to_string(port) + ": ";
      if (!is_old && !is_new)
        fail(name + "neither the old nor the new");
      if (met.slot == 0)
        continue; // everything passes
      const bool may_be_old = service(before_, port), may_be_new = service(after_, port);
      for (const std::string& text : all_sources) {
        const trap_address source = address(text);
        const bool met_it = met_trust(source);
        if (!((may_be_old && met_it == trusts(before_, source)) ||
              (may_be_new && met_it == trusts(after_, source))))
          fail(name + text + (met_it ? " is trusted" : " is not trusted"));
      }
      for (const std::string& text : all_servers) {
        const trap_address source = address(text);
        const bool met_it = met_server(source);
        if (!((may_be_old && met_it == hears(before_, source)) ||
              (may_be_new && met_it == hears(after_, source))))
          fail(name + text + (met_it ? " may announce" : " may not announce"));
      }
    }
  }

  std::mt19937_64 random_{1};
  MemoryMaps store_;
  MapFds fds_;
  trap_guard_settings settings_ = {};
  GuardConfig before_, after_;
  PortSlots slots_, slots_after_;
  int pair_ = 0;
  int failures_ = 0;
};

TEST_F(GuardOrder, of_a_reload_gives_every_packet_the_old_or_the_new) {
  for (pair_ = 0; pair_ < 500 && failures_ == 0; pair_++) {
    const auto written = go_to(config());
    ASSERT_TRUE(written) << written.error().message;
  }
  EXPECT_GT(store_.writes(), 1000U);
}

TEST_F(GuardOrder, keeps_what_is_known_of_a_trap_server) {
  GuardConfig one;
  one.trap_servers = {address("203.0.113.1")};
  ASSERT_TRUE(go_to(one));
  trap_guard_peer heard = {};
  heard.announcements = 7;
  heard.heard_s = 1;
  ASSERT_TRUE(store_.write(fds_.trap_servers, "trap_servers", one.trap_servers[0], heard));
  one.trap_servers.push_back(address("203.0.113.2"));
  ASSERT_TRUE(go_to(one));
  EXPECT_EQ(read_peer(fds_, one.trap_servers[0], store_).announcements, 7U);
}

// As many as there is room for, and then as many others.
TEST_F(GuardOrder, finds_room_in_full_maps) {
  GuardConfig full[2];
  for (int i = 0; i < TRAP_GUARD_MAX_TRUSTED; i++) {
    for (int which = 0; which < 2; which++) {
      const std::string text = "10." + std::to_string(which) + ".0." + std::to_string(i);
      full[which].trusted.push_back(*parse_prefix(text));
      full[which].trap_servers.push_back(address(text));
    }
  }
  for (const GuardConfig& config : full) {
    const auto written = go_to(config);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(store_.keys<trap_trusted_key>(fds_.trusted).size(), config.trusted.size());
    EXPECT_TRUE(met_trust(config.trusted[0].address));
    EXPECT_TRUE(met_server(config.trap_servers[0]));
  }
  EXPECT_FALSE(met_trust(full[0].trusted[0].address));
}

} // namespace
} // namespace trap::test
