// SPDX-License-Identifier: Apache-2.0
// The order in which trap-client's policy is written: after every single write between random pairs
// of configurations, each service may redirect where the old or where the new one lets it.
#include <gmock/gmock.h>

#include <random>

#include "client/daemon/maps/client_maps.h"
#include "client/daemon/maps/routing_maps.h"
#include "tests/unit/maps/memory_maps.h"

namespace trap::test {
namespace {

using namespace client;

const std::vector<std::string> all_services = {
    "198.18.0.0/15", "198.20.50.0/24", "198.20.50.128/25", "198.20.50.200", "2001:db8:50::/48"};
const std::vector<std::string> all_targets = {"198.20.60.0/24", "198.20.70.0/24", "10.60.0.0/16",
                                              "2001:db8:60::/48"};
const std::vector<std::string> dialled = {
    "198.19.1.1:80",     "198.20.50.1:80", "198.20.50.129:443",  "198.20.50.200:80",
    "198.20.50.200:443", "203.0.113.1:80", "[2001:db8:50::1]:80"};
const std::vector<std::string> led_to = {"198.20.60.1:80", "198.20.70.1:80", "10.60.0.1:80",
                                         "198.51.100.1:80", "[2001:db8:60::1]:80"};

class ClientOrder : public testing::Test {
protected:
  void SetUp() override {
    for (int* fd : {&fds_.services, &fds_.targets})
      *fd = store_.add(MapKind::trie, sizeof(trap_trust_key), 4, TRAP_CLIENT_MAX_TRUSTED);
  }

  bool chance(unsigned of, unsigned all) { return random_() % all < of; }

  ClientConfig config() {
    ClientConfig made;
    made.trusts.resize(1 + random_() % 3);
    for (const std::string& service : all_services) {
      for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{443}}) {
        if (chance(1, 3))
          made.trusts[random_() % made.trusts.size()].services.push_back(
              {*parse_prefix(service), port});
      }
    }
    for (Trust& trust : made.trusts) {
      for (const std::string& target : all_targets) {
        if (chance(1, 2))
          trust.targets.push_back(*parse_prefix(target));
      }
    }
    made.only_trusted = chance(1, 2);
    made.allow_private_targets = chance(1, 2);
    return made;
  }

  // As docs/packet-walk.md 4.4 has it, from the configuration alone.
  static bool allows(const ClientConfig& config, const Endpoint& service, const Endpoint& target) {
    const Trust* trust = nullptr;
    for (const std::uint16_t port : {service.port, std::uint16_t{0}}) {
      unsigned longest = 0;
      for (const Trust& one : config.trusts) {
        for (const TrustedService& named : one.services) {
          if (named.port == port && covers(named.prefix, service.address) &&
              named.prefix.bits >= longest) {
            longest = named.prefix.bits;
            trust = &one;
          }
        }
      }
      if (trust)
        return std::ranges::any_of(
            trust->targets, [&](const Prefix& prefix) { return covers(prefix, target.address); });
    }
    const trap_family family = family_of(service.address);
    return !config.only_trusted &&
           (config.allow_private_targets || !trap_address_is_private(&target.address, family) ||
            trap_address_is_private(&service.address, family));
  }

  void expect_old_or_new() {
    for (const std::string& from : dialled) {
      for (const std::string& to : led_to) {
        const Endpoint service = *parse_endpoint(from), target = *parse_endpoint(to);
        if (family_of(service.address) != family_of(target.address))
          continue;
        const bool met = may_redirect(fds_, settings_, service, target, store_);
        if (met != allows(before_, service, target) && met != allows(after_, service, target) &&
            failures_++ < 5)
          ADD_FAILURE() << "pair " << pair_ << ", write " << store_.writes() << ": " << from
                        << (met ? " may" : " may not") << " redirect to " << to;
      }
    }
  }

  std::mt19937_64 random_{1};
  MemoryMaps store_;
  TrustFds fds_;
  trap_client_settings settings_ = {};
  ClientConfig before_, after_;
  int pair_ = 0;
  int failures_ = 0;
};

TEST_F(ClientOrder, of_a_reload_lets_services_redirect_by_the_old_or_the_new) {
  for (pair_ = 0; pair_ < 500 && failures_ == 0; pair_++) {
    after_ = config();
    store_.after_write = [this] { expect_old_or_new(); };
    const auto written = write_policy(fds_, settings_, after_, store_);
    store_.after_write = [] {};
    ASSERT_TRUE(written) << written.error().message;
    before_ = after_;
    expect_old_or_new();
    std::size_t named = 0, targets = 0;
    for (const Trust& trust : after_.trusts) {
      named += trust.services.size();
      targets += trust.targets.size();
    }
    EXPECT_EQ(store_.keys<trap_trust_key>(fds_.services).size(), named);
    EXPECT_EQ(store_.keys<trap_trust_key>(fds_.targets).size(), targets);
  }
  EXPECT_GT(store_.writes(), 5000U);
}

class ClientLinks : public testing::Test {
protected:
  __u32 link_of(const std::string& address) {
    trap_trust_key key = {};
    key.bits = 32 + 128;
    key.prefix = *parse_address(address);
    return store_.read<__u32>(links_, key).value_or(0);
  }

  static LinkPrefix link(const std::string& prefix, unsigned interface) {
    return {*parse_prefix(prefix), interface};
  }

  void write(const std::vector<LinkPrefix>& links) {
    const auto written = write_links(links_, links, store_);
    ASSERT_TRUE(written) << written.error().message;
  }

  MemoryMaps store_;
  int links_ = store_.add(MapKind::trie, sizeof(trap_trust_key), 4, 2 * TRAP_CLIENT_MAX_LINKS);
};

TEST_F(ClientLinks, are_found_at_every_step_while_others_come_and_go) {
  write({link("192.0.2.0/24", 2), link("2001:db8:2::/64", 2), link("198.51.100.0/24", 3)});
  store_.after_write = [this] {
    EXPECT_EQ(link_of("192.0.2.9"), 2U);
    EXPECT_EQ(link_of("203.0.113.1"), 0U);
  };
  write({link("192.0.2.0/24", 2), link("10.0.0.0/8", 4)});
  EXPECT_EQ(link_of("10.1.2.3"), 4U);
  EXPECT_EQ(link_of("198.51.100.1"), 0U);
  EXPECT_EQ(link_of("2001:db8:2::1"), 0U);
}

TEST_F(ClientLinks, are_not_known_where_there_are_none_or_too_many) {
  write({});
  EXPECT_EQ(link_of("203.0.113.1"), TRAP_LINK_UNKNOWN);
  EXPECT_EQ(link_of("2001:db8::1"), TRAP_LINK_UNKNOWN);
  write({link("192.0.2.0/24", 2)});
  EXPECT_EQ(link_of("203.0.113.1"), 0U);
  std::vector<LinkPrefix> many;
  for (__u32 i = 0; i <= TRAP_CLIENT_MAX_LINKS; i++)
    many.push_back({{trap_address_v4(TRAP_BE32(0x0a000000 + i)), 128}, 2});
  write(many);
  EXPECT_EQ(link_of("203.0.113.1"), TRAP_LINK_UNKNOWN);
  EXPECT_EQ(store_.keys<trap_trust_key>(links_).size(), 1U);
}

class ClientRoutes : public testing::Test {
protected:
  // A table with one route, which a rule with this mark looks up, and no other.
  static HostRouting routing(std::uint32_t mark, std::uint32_t table, unsigned interface) {
    HostRouting made;
    made.rules.push_back({.family = TRAP_IPV4, .action = RuleAction::looks_up, .table = table});
    made.rules.back().mark = mark;
    made.routes[{TRAP_IPV4, table, 96, bytes_of("0.0.0.0")}] = {.kind = RouteKind::unicast,
                                                                .interface = interface};
    return made;
  }

  static std::array<std::uint8_t, 16> bytes_of(const std::string& address) {
    std::array<std::uint8_t, 16> bytes{};
    std::ranges::copy(parse_address(address)->bytes, bytes.begin());
    return bytes;
  }

  // What a program finds: the mark of the first rule, and the way of its table; 0 without.
  std::pair<std::uint32_t, std::uint32_t> found() {
    const auto rule =
        settings_.routing == 0
            ? std::nullopt
            : store_.read<trap_rule>(fds_.rules, trap_rule_place(settings_.routing, 0, 0));
    if (!rule || rule->action != TRAP_RULE_LOOKS_UP)
      return {};
    trap_trust_key key = {};
    key.bits = 32 + 128;
    key.of = trap_routing_table(settings_.routing, rule->table);
    key.prefix = *parse_address("192.0.2.1");
    const auto route = store_.read<trap_route>(fds_.routes, key);
    return {rule->mark, route ? route->way : 0};
  }

  void write(const HostRouting* routing) {
    const auto written = write_routing(fds_, settings_, routing, store_);
    ASSERT_TRUE(written) << written.error().message;
  }

  MemoryMaps store_;
  trap_client_settings settings_ = {};
  RoutingFds fds_ = {.rules = store_.add(MapKind::array, sizeof(__u32), sizeof(trap_rule),
                                         4UL * TRAP_CLIENT_MAX_RULES),
                     .routes = store_.add(MapKind::trie, sizeof(trap_trust_key), sizeof(trap_route),
                                          2UL * TRAP_CLIENT_MAX_ROUTES)};
};

TEST_F(ClientRoutes, are_the_old_or_the_new_at_every_step) {
  using Found = std::pair<std::uint32_t, std::uint32_t>;
  HostRouting before = routing(1, 254, 2);
  write(&before);
  for (std::uint32_t i = 2; i < 6; i++) {
    const HostRouting after = routing(i, 250 + i, i + 1);
    const Found old = found();
    store_.after_write = [&] { EXPECT_THAT(found(), testing::AnyOf(old, Found{i, i + 1})); };
    write(&after);
    store_.after_write = [] {};
    EXPECT_EQ(found(), (Found{i, i + 1}));
    EXPECT_EQ(store_.keys<trap_trust_key>(fds_.routes).size(), 1U);
  }
}

TEST_F(ClientRoutes, are_not_known_where_there_are_none_or_too_many) {
  HostRouting few = routing(1, 254, 2), many_rules = few, many_routes = few;
  many_routes.too_many = true;
  for (int i = 0; i < TRAP_CLIENT_MAX_RULES; i++)
    many_rules.rules.push_back(few.rules.front());
  for (const HostRouting* routing :
       std::initializer_list<const HostRouting*>{nullptr, &many_rules, &many_routes}) {
    write(&few);
    EXPECT_NE(settings_.routing, 0U);
    write(routing);
    EXPECT_EQ(settings_.routing, 0U);
    EXPECT_TRUE(store_.keys<trap_trust_key>(fds_.routes).empty());
    EXPECT_FALSE(is_followed(routing));
  }
}

} // namespace
} // namespace trap::test
