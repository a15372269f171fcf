// SPDX-License-Identifier: Apache-2.0
// From a configuration to what the maps hold: the keys of serve, pools, policies and budgets, who
// is named, and what stays in its place.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "runtime/config/token_rate.h"
#include "server/daemon/plan/active_configuration.h"
#include "server/daemon/state/map_contents.h"
#include "server/daemon/state/runtime_state.h"

namespace trap::test {
namespace {

using namespace server;
using testing::HasSubstr;
using testing::StartsWith;

const std::string one_host = R"(interfaces = ["eth0"]
[[service]]
name = "web"
addresses = ["203.0.113.10:80", "[2001:db8:113::10]:80"]
)";

const std::string at_all_times = one_host + "activate = \"always\"\n";

const std::string with_pools = one_host + R"(unaware = "serve"
  [[service.backend]]
  address = "198.51.100.20:80"
  guard = "a"
  weight = 3
  [[service.backend]]
  address = "198.51.100.21:80"
  guard = "b"
  [[service.backend]]
  address = "198.51.100.22:80"
  guard = "b"
  pool = "partners"
  [[service.policy]]
  action = "deny"
  prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
  [[service.policy]]
  action = "pool"
  pool = "partners"
  prefixes = ["192.0.2.128/25"]
)";

class Contents : public testing::Test {
protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / ("trap-contents-test-" + std::to_string(getpid()));
    std::filesystem::create_directory(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Result<ServerConfig> read(const std::string& text) {
    std::ofstream(directory_ / "server.toml") << text;
    return read_server_config(directory_ / "server.toml");
  }

  void expect_refused(const std::string& text, int line, const std::string& about) {
    SCOPED_TRACE(about);
    const auto config = read(text);
    ASSERT_FALSE(config);
    EXPECT_THAT(config.error().message, StartsWith((directory_ / "server.toml").string() + ":" +
                                                   std::to_string(line) + ": "));
    EXPECT_THAT(config.error().message, HasSubstr(about));
    EXPECT_EQ(config.error().exit_code, ExitCode::usage);
  }

  void plan(const std::string& text, const EarlierMaps& earlier = {}) {
    auto config = read(text);
    ASSERT_TRUE(config) << config.error().message;
    active_.config = *config;
    auto made = make_plan(active_.config, earlier);
    ASSERT_TRUE(made) << made.error().message;
    active_.plan = *made;
  }

  const PlannedService& planned(std::size_t which = 0) { return active_.plan.services.at(which); }

  std::filesystem::path directory_;
  ActiveConfiguration active_;
  BackendAvailability backends_;
};

TEST_F(Contents, of_one_host_is_served_and_needs_no_key) {
  plan(at_all_times);
  EXPECT_FALSE(needs_master_key(active_.config));
  const trap_service v4 = service_value(planned(0), {}, {{2, 2, 1, 1}, 1500}, false);
  EXPECT_EQ(v4.flags, TRAP_SERVICE_SERVES | TRAP_SERVICE_SOCKETS | TRAP_SERVICE_TIMESTAMPS |
                          TRAP_SERVICE_SACK | TRAP_SERVICE_SCALES);
  EXPECT_EQ(TRAP_FROM_BE16(v4.mss), 1460);
  EXPECT_NE(v4.window, 0);
  const trap_service v6 = service_value(planned(1), {}, {{2, 1, 1, 1}, 1400}, false);
  EXPECT_EQ(v6.flags,
            TRAP_SERVICE_SERVES |
                TRAP_SERVICE_SOCKETS); // timestamps mean nothing to a stack with tcp_timestamps = 1
  EXPECT_EQ(TRAP_FROM_BE16(v6.mss), 1340);
}

TEST_F(Contents, begin_in_peace_where_there_is_no_backend) {
  plan(one_host);
  EXPECT_EQ(planned().service->activate, Activate::attack);
  const HostState host = {{1, 1, 1, 1}, 1500, true};
  const trap_service resting = service_value(planned(), {.rests = true}, host, false);
  constexpr __u32 ready =
      TRAP_SERVICE_RESTS | TRAP_SERVICE_ASSIGNS | TRAP_SERVICE_STACK_COOKIES | TRAP_SERVICE_SERVES;
  EXPECT_EQ(resting.flags & ready, ready);
  EXPECT_EQ(resting.peace_token_ns, 50'000u) << "20,000 SYNs a second";
  EXPECT_EQ(service_value(planned(), {}, host, false).peace_token_ns, 0u);
  plan(one_host + "attack_syns_per_s = 1\n");
  EXPECT_EQ(service_value(planned(), {.rests = true}, host, false).peace_token_ns, 1'000'000'000u);
  plan(with_pools);
  EXPECT_EQ(planned().service->activate, Activate::always);
}

TEST_F(Contents, of_a_host_that_makes_sockets_need_less_of_its_stack) {
  plan(at_all_times);
  constexpr __u32 assigning = TRAP_SERVICE_SERVES | TRAP_SERVICE_SOCKETS | TRAP_SERVICE_ASSIGNS;
  constexpr __u32 with_options =
      assigning | TRAP_SERVICE_TIMESTAMPS | TRAP_SERVICE_SACK | TRAP_SERVICE_SCALES;
  EXPECT_EQ(service_value(planned(), {}, {{1, 1, 1, 1}, 1500, true}, false).flags, with_options);
  EXPECT_EQ(service_value(planned(), {}, {{1, 0, 1, 1}, 1500, true}, false).flags,
            assigning | TRAP_SERVICE_SACK | TRAP_SERVICE_SCALES)
      << "the cookie says them";
  EXPECT_EQ(service_value(planned(), {}, {{1, 1, 1, 1, 2}, 1500, true}, false).flags,
            with_options | TRAP_SERVICE_ECN);
  EXPECT_EQ(service_value(planned(), {}, {{1, 0, 1, 1, 2}, 1500, true}, false).flags &
                TRAP_SERVICE_ECN,
            0U);
}

TEST_F(Contents, tell_clients_what_the_listener_says) {
  plan(one_host);
  ServiceState runtime_state;
  runtime_state.listener = ListenerAnswer{.answers = true,
                                          .mss = 65495,
                                          .window = 65483,
                                          .window_scale = 9,
                                          .sack = true,
                                          .timestamps = true};
  trap_service value = service_value(planned(), runtime_state, {{2, 2, 1, 1}, 1500}, false);
  EXPECT_EQ(TRAP_FROM_BE16(value.window), 45 * 1448); // as Linux has it on the way to clients
  EXPECT_EQ(TRAP_FROM_BE16(value.plain_window), 44 * 1460);
  EXPECT_EQ(value.window_scale, 9);
  runtime_state.listener = ListenerAnswer{}; // it went: what was said last still holds
  runtime_state.earlier = value;
  value = service_value(planned(), runtime_state, {{2, 2, 1, 1}, 1500}, false);
  EXPECT_EQ(value.window_scale, 9);
  runtime_state.listener = ListenerAnswer{.answers = true, .mss = 1000}; // TCP_MAXSEG
  value = service_value(planned(), runtime_state, {{2, 2, 1, 1}, 1500}, false);
  EXPECT_EQ(TRAP_FROM_BE16(value.mss), 1000);
}

TEST_F(Contents, tell_clients_windows_of_whole_segments) {
  plan(one_host);
  const HostState host = {.settings = {2, 2, 1, 1}, .mtu = 1500};
  const auto windows_of = [&](std::uint16_t of_probe) {
    ServiceState state;
    state.listener = ListenerAnswer{.answers = true, .mss = 65495, .window = of_probe};
    const trap_service value = service_value(planned(), state, host, false);
    return std::pair<int, int>{TRAP_FROM_BE16(value.window), TRAP_FROM_BE16(value.plain_window)};
  };
  EXPECT_EQ(windows_of(65535), std::pair(65535, 65535)); // more than a header can say
  EXPECT_EQ(windows_of(8192), std::pair(5 * 1448, 5 * 1460));
  EXPECT_EQ(windows_of(1000), std::pair(1000, 1000));
}

TEST_F(Contents, give_answers_the_hop_limit_of_socket_route_and_host) {
  plan(one_host);
  HostState host = {.settings = {2, 2, 1, 1}};
  ServiceState state;
  EXPECT_EQ(service_value(planned(0), state, host, false).hop_limit, 0);
  host.hop_limits = {.ipv4 = 128, .ipv6 = 70, .loopback_ipv6 = 64};
  state.listener = ListenerAnswer{.answers = true, .hop_limit = 128, .traffic_class = 40};
  EXPECT_EQ(service_value(planned(0), state, host, false).hop_limit, 128);
  EXPECT_EQ(service_value(planned(0), state, host, false).traffic_class, 40);
  state.listener->hop_limit = 64;
  EXPECT_EQ(service_value(planned(1), state, host, false).hop_limit, 70);
  host.routes = {.ipv4 = {.hops = 31}, .ipv6 = {.hops = 32}};
  EXPECT_EQ(service_value(planned(1), state, host, false).hop_limit, 32);
  state.listener->hop_limit = 99;
  EXPECT_EQ(service_value(planned(0), state, host, false).hop_limit, 99);
  EXPECT_EQ(service_value(planned(1), state, host, false).hop_limit, 99);
}

TEST_F(Contents, tell_clients_what_the_default_route_asks_for) {
  plan(one_host);
  const HostState host = {.settings = {2, 2, 1, 1},
                          .mtu = 1500,
                          .routes = {.ipv4 = {.mss = 1300}, .ipv6 = {.mss = 1340}}};
  EXPECT_EQ(TRAP_FROM_BE16(service_value(planned(0), {}, host, false).mss), 1300);
  EXPECT_EQ(TRAP_FROM_BE16(service_value(planned(1), {}, host, false).mss), 1340);
  const HostState narrow = {
      .settings = {2, 2, 1, 1}, .mtu = 1280, .routes = {.ipv4 = {.mss = 1300}}};
  EXPECT_EQ(TRAP_FROM_BE16(service_value(planned(0), {}, narrow, false).mss), 1240);
}

TEST_F(Contents, leave_to_the_stack_what_takes_no_cookies) {
  plan(at_all_times);
  constexpr __u32 left = TRAP_SERVICE_LEFT | TRAP_SERVICE_RESTS;
  const auto flags_of = [&](const ServiceState& service, int tcp_syncookies) {
    return service_value(planned(), service, {{tcp_syncookies, 1, 1, 1}, 1500, true}, false).flags &
           (left | TRAP_SERVICE_ASSIGNS | TRAP_SERVICE_STACK_COOKIES);
  };
  EXPECT_EQ(flags_of({}, 1), TRAP_SERVICE_ASSIGNS);
  EXPECT_EQ(flags_of({.listener = ListenerAnswer{}}, 1), TRAP_SERVICE_ASSIGNS)
      << "no answer is no refusal: its queue may be full";
  EXPECT_EQ(flags_of({.listener = ListenerAnswer{.refuses = true}}, 1), left);
  EXPECT_EQ(flags_of({.at_best = Answerer::stack}, 2), left);
  EXPECT_EQ(flags_of({.sent_cookie = true, .at_best = Answerer::kernel_cookies}, 2), 0u);
  EXPECT_EQ(flags_of({.sent_cookie = true, .at_best = Answerer::kernel_cookies}, 1), left);
  EXPECT_EQ(flags_of({.was_left = true}, 1), TRAP_SERVICE_ASSIGNS | TRAP_SERVICE_STACK_COOKIES);
  EXPECT_EQ(flags_of({.facts = {.has_signatures = true}}, 2), left);
  EXPECT_EQ(flags_of({.facts = {.wants_near = true}}, 2), left);
  EXPECT_EQ(flags_of({.facts = {.is_multipath = true}, .sent_cookie = true}, 1), left);
  EXPECT_EQ(flags_of({.facts = {.is_multipath = true}, .sent_cookie = true}, 2), 0u)
      << "the kernel's cookies";
  EXPECT_EQ(flags_of({.facts = {.is_multipath = true}}, 2), left)
      << "the kernel takes none before the listener has sent one";
}

TEST(Answering, leads_to_backends_although_nothing_listens) {
  const ServiceState nothing_listens = {.listener = ListenerAnswer{.refuses = true}};
  const HostState host = {{1, 1, 1, 1}, 1500, true};
  EXPECT_EQ(choose_answering(nothing_listens, host, false).by, Answerer::stack);
  EXPECT_EQ(choose_answering(nothing_listens, host, true).by, Answerer::own_cookies);
}

TEST(Answering, leaves_an_address_of_another_host_to_the_stack_and_says_so) {
  const ServiceState routed_on = {.listener = ListenerAnswer{.elsewhere = true}};
  const HostState host = {{1, 1, 1, 1}, 1500, true};
  const Answering left = choose_answering(routed_on, host, false);
  EXPECT_EQ(left.by, Answerer::stack);
  EXPECT_NE(left.reason.find("not on this host"), std::string::npos) << left.reason;
  EXPECT_EQ(choose_answering(routed_on, host, true).by, Answerer::own_cookies);
}

// The kernel's cookies and TRAP's own come to the same end there.
TEST(ChooseAnswering, leaves_to_the_stack_what_takes_no_handshakes) {
  ServiceState service;
  service.listener = ListenerAnswer{.answers = true};
  HostState host = {.settings = {0, 1, 1, 1, 2}};
  for (const bool assigns : {true, false}) {
    host.assigns = assigns;
    const Answering answering = choose_answering(service, host, false);
    EXPECT_EQ(answering.by, Answerer::stack);
    EXPECT_NE(answering.reason.find("sysctl -w net.ipv4.tcp_syncookies=1"), std::string::npos);
  }
  host = {.settings = {1, 1, 1, 1, 2}, .assigns = true};
  EXPECT_EQ(choose_answering(service, host, false).by, Answerer::own_cookies);
  service.in_vrf = "eth0";
  const Answering in_vrf = choose_answering(service, host, true);
  EXPECT_EQ(in_vrf.by, Answerer::stack);
  EXPECT_NE(in_vrf.reason.find("interface eth0 is in a VRF"), std::string::npos) << in_vrf.reason;
}

TEST_F(Contents, keep_the_sockets_of_who_was_served) {
  plan(one_host + "[[service]]\nname = \"reset\"\naddresses = "
                  "[\"203.0.113.11:80\"]\n[[service.backend]]\naddress = "
                  "\"198.51.100.20:80\"\nguard = \"a\"\n");
  const PlannedService& reset = planned(2);
  EXPECT_EQ(service_value(reset, {}, {}, true).flags, TRAP_SERVICE_OFFERS);
  ServiceState served_before;
  served_before.had_sockets = true;
  EXPECT_EQ(service_value(reset, served_before, {}, true).flags,
            TRAP_SERVICE_OFFERS | TRAP_SERVICE_SOCKETS);
  EXPECT_EQ(service_value(reset, {}, {}, false).flags, TRAP_SERVICE_SILENT);
}

TEST_F(Contents, name_the_usable_backends_of_a_pool) {
  plan(with_pools);
  const ServiceConfig& service = *planned().service;
  ASSERT_EQ(planned().pools.size(), 2u);
  const PlannedPool& pool = planned().pools[0];
  EXPECT_EQ(pool.name, "");
  EXPECT_EQ(backends_.candidates(service, pool).size(), 2u);
  EXPECT_DOUBLE_EQ(backends_.share(service, pool, pool.members[0]), 0.75);
  backends_.order("web", service.backends[0].endpoint, BackendState::draining);
  EXPECT_EQ(backends_.candidates(service, pool).size(), 1u);
  EXPECT_DOUBLE_EQ(backends_.share(service, pool, pool.members[0]), 0);
  backends_.follow(active_.config); // an order outlives a reload
  EXPECT_EQ(backends_.state(service, service.backends[0]), BackendState::draining);
  EXPECT_TRUE(planned(1).pools[0].members.empty()); // no backend of IPv6
}

TEST_F(Contents, of_one_event_are_one_problem) {
  std::string addresses;
  for (int i = 1; i <= 200; i++)
    addresses += (i == 1 ? "\"" : ", \"") + std::string("203.0.113.") + std::to_string(i) + ":80\"";
  plan("interfaces = [\"eth0\"]\n[[service]]\nname = \"web\"\naddresses = [" + addresses +
       "]\n[[service.backend]]\naddress = \"198.51.100.20:80\"\nguard = \"a\"\nstate = \"down\"\n");
  RuntimeState state;
  ASSERT_TRUE(state.follow(active_.config, active_.plan));
  EXPECT_THAT(state.problems(active_.plan),
              testing::ElementsAre(testing::AllOf(
                  HasSubstr("service \"web\", 203.0.113.1:80, "),
                  HasSubstr(" and 196 more: no backend is usable, clients get no answer"))));
}

TEST_F(Contents, find_addresses_of_the_host) {
  auto config = read("interfaces = [\"eth0\"]\n[[service]]\nname = \"one\"\n"
                     "addresses = [\"203.0.113.10:443\", \"203.0.113.10:8000-8002\"]\n"
                     "[[service]]\nname = \"all\"\naddresses = [\"*:443\"]\n"
                     "[[service]]\nname = \"v6\"\naddresses = [\"[::]:80\"]\n"
                     "[[service]]\nname = \"eth1\"\naddresses = [\"eth1:22\"]\n"
                     "[[service]]\nname = \"net\"\naddresses = [\"203.0.113.0/24:25-26\"]\n");
  ASSERT_TRUE(config) << config.error().message;
  const auto address = [](const char* text) { return *parse_address(text); };
  std::vector<HostAddress> host = {{address("203.0.113.10"), "eth0"},
                                   {address("198.51.100.7"), "eth1"},
                                   {address("2001:db8::1"), "eth0"}};
  const auto found = [&](std::size_t service) {
    std::string text;
    for (const Endpoint& each : config->services[service].addresses)
      text += format_endpoint(each) + " ";
    return text;
  };
  find_addresses(config->services, host);
  EXPECT_EQ(found(0), "203.0.113.10:443 203.0.113.10:8000 203.0.113.10:8001 203.0.113.10:8002 ");
  EXPECT_EQ(found(1), "198.51.100.7:443 [2001:db8::1]:443 ") << "one is written out elsewhere";
  EXPECT_EQ(found(2), "[2001:db8::1]:80 ");
  EXPECT_EQ(found(3), "198.51.100.7:22 ");
  EXPECT_EQ(found(4), "203.0.113.10:25 203.0.113.10:26 ");
  host.pop_back();
  find_addresses(config->services, host);
  EXPECT_EQ(found(2), "") << "it went";
  const auto unmatched = [&](std::size_t service) {
    return unmatched_patterns(config->services[service], host).size();
  };
  for (const std::size_t all : {0, 1, 2, 3, 4})
    EXPECT_EQ(unmatched(all), 0u) << "no interface and no prefix is named, or there is an address";
  host.clear();
  for (const std::size_t unnamed : {0, 1, 2})
    EXPECT_EQ(unmatched(unnamed), 0u);
  EXPECT_EQ(unmatched(3), 1u);
  EXPECT_EQ(unmatched(4), 1u);
  EXPECT_THAT(unmatched_text(config->services[3], config->services[3].patterns[0]),
              HasSubstr("\"eth1:22\" stands for no address now: this host has no interface"));
  for (const char* wrong : {"*", "*:0", "*:9-8", "*:1-1001", "203.0.113.300:80", "[eth0]:80",
                            "eth0:80:81", "127.0.0.1:80", "203.0.113.1/24:80"})
    EXPECT_FALSE(parse_address_pattern(wrong)) << wrong;
}

TEST_F(Contents, lead_prefixes_to_pools_as_long_as_they_are_there) {
  plan(with_pools);
  const auto policies = service_policies(planned(), backends_);
  ASSERT_TRUE(policies);
  EXPECT_EQ(policies->rules[0].action, static_cast<__u32>(TRAP_POLICY_DENY));
  EXPECT_EQ(policies->rules[1].action, static_cast<__u32>(TRAP_POLICY_POOL));
  EXPECT_EQ(policies->rules[1].pool, planned().pool("partners")->index);
  backends_.order("web", planned().service->backends[2].endpoint, BackendState::draining);
  const auto drained = service_policies(planned(), backends_);
  EXPECT_EQ(drained->rules[1].action,
            static_cast<__u32>(TRAP_POLICY_SERVE)); // when_down is "serve"
  EXPECT_FALSE(drained->same_as(*policies));
  plan(one_host + "[[service.policy]]\naction = \"deny\"\nprefixes = [\"192.0.2.0/24\"]\n");
  EXPECT_TRUE(service_policies(planned(0), backends_));
  EXPECT_FALSE(service_policies(planned(1), backends_)); // no IPv6 client has one
}

// Guard, port and tag are all that a ticket binds of its backend.
TEST_F(Contents, of_pools_that_share_guard_port_and_tag_are_named) {
  struct Case {
    std::string guard, port, pool, more;
    std::size_t lines;
  };
  const auto policy = [](const std::string& tag) {
    return "[[service.policy]]\naction = \"pool\"\npool = \"partners\"\ntag = " + tag +
           "\nprefixes = [\"192.0.2.0/24\"]\n";
  };
  for (const Case& other : {Case{"a", "80", "partners", "", 1}, Case{"a", "81", "partners", "", 0},
                            Case{"b", "80", "partners", "", 0}, Case{"a", "80", "", "", 0},
                            Case{"a", "80", "partners", "tag = 7\n", 0},
                            Case{"a", "80", "partners", "tag = 7\n" + policy("0"), 1},
                            Case{"a", "80", "partners", "tag = 7\n" + policy("8"), 0}}) {
    const auto config =
        read(one_host + "[[service.backend]]\naddress = \"198.51.100.20:80\"\nguard = \"a\"\n" +
             "[[service.backend]]\naddress = \"198.51.100.21:" + other.port + "\"\nguard = \"" +
             other.guard + "\"\npool = \"" + other.pool + "\"\nweight = 2\n" + other.more +
             "[[service.backend]]\naddress = \"[2001:db8::20]:8080\"\nguard = \"a\"\n");
    ASSERT_TRUE(config) << config.error().message;
    const std::vector<std::string> lines = shared_doors(*config);
    EXPECT_EQ(lines.size(), other.lines) << other.guard << " " << other.port << " " << other.pool;
    if (!lines.empty())
      EXPECT_THAT(lines[0], HasSubstr("guard \"a\" at port 80, both with tag 0"));
  }
}

// The entries of the map `backends` that a rule's clients are sent to.
std::vector<trap_backend> entries_of(const ServerPlan& plan, const PlannedPool& pool) {
  std::vector<trap_backend> entries;
  for (const PoolMember& member : pool.members)
    entries.push_back(plan.backends.at(member.index).value);
  return entries;
}

// Every backend key and every policy key that a ticket's contents follow from, and both at once.
TEST_F(Contents, give_tickets_the_scope_of_the_backend_and_the_tag_of_the_policy) {
  plan(one_host + R"(
  [[service.backend]]
  address = "198.51.100.20:80"
  guard = "a"
  scope_v4 = 24
  tag = 3
  [[service.backend]]
  address = "198.51.100.21:80"
  guard = "a"
  pool = "partners"
  [[service.backend]]
  address = "[2001:db8::20]:80"
  guard = "a"
  scope_v6 = 56
  [[service.policy]]
  action = "pool"
  tag = 7
  prefixes = ["192.0.2.0/25", "2001:db8:2::/48"]
  [[service.policy]]
  action = "pool"
  pool = "partners"
  tag = 8
  prefixes = ["192.0.2.128/25"]
  [[service.policy]]
  action = "pool"
  pool = "partners"
  prefixes = ["192.0.2.192/26"]
  [[service.policy]]
  action = "pool"
  tag = 0
  prefixes = ["192.0.2.1"]
)");
  const auto policies = service_policies(planned(), backends_);
  ASSERT_TRUE(policies);
  struct Expected {
    std::string pool;
    std::optional<std::uint8_t> tag;
    unsigned scope_v4, in_ticket;
  };
  const std::vector<Expected> expected = {
      {"", 7, 24, 7}, {"partners", 8, 32, 8}, {"partners", {}, 32, 0}, {"", 0, 24, 0}};
  std::set<std::uint32_t> pools = {planned().pools.front().index};
  for (std::size_t rule = 0; rule < expected.size(); rule++) {
    const Expected& want = expected[rule];
    const PlannedPool* pool = planned().pool(want.pool, want.tag);
    ASSERT_NE(pool, nullptr) << rule;
    EXPECT_EQ(policies->rules[rule].pool, pool->index) << rule;
    EXPECT_TRUE(pools.insert(pool->index).second) << rule << ": a table of its own";
    for (const trap_backend& entry : entries_of(active_.plan, *pool)) {
      EXPECT_EQ(entry.tag, want.in_ticket) << rule;
      EXPECT_EQ(entry.scope_v4, want.scope_v4) << rule;
    }
  }
  const auto usual = entries_of(active_.plan, planned().pools.front());
  ASSERT_EQ(usual.size(), 1u);
  EXPECT_EQ(usual[0].tag, 3u);
  const PlannedPool* of_v6 = planned(1).pool("", 7);
  ASSERT_NE(of_v6, nullptr);
  EXPECT_EQ(entries_of(active_.plan, *of_v6).at(0).scope_v6, 56u);
  EXPECT_EQ(planned(1).pool("partners", 8), nullptr) << "no IPv6 backend is in that pool";

  const EarlierMaps earlier = maps_after(active_.plan);
  EXPECT_EQ(earlier.backends.size(), active_.plan.backends.size()) << "read back as it was written";
}

TEST_F(Contents, stay_in_their_places_when_others_come) {
  plan(with_pools);
  const EarlierMaps earlier = maps_after(active_.plan);
  const std::uint32_t slot = planned(1).slot;
  const std::uint32_t pool = planned().pool("partners")->index;
  plan("interfaces = [\"eth0\"]\n[[service]]\nname = \"new\"\naddresses = [\"203.0.113.9:80\"]\n" +
           with_pools.substr(with_pools.find("[[")),
       earlier);
  EXPECT_EQ(planned(2).slot, slot);
  EXPECT_EQ(planned(1).pool("partners")->index, pool);
  EXPECT_EQ(maps_after(active_.plan).backends, earlier.backends);
  for (const auto& [key, index] : earlier.pools)
    EXPECT_NE(planned(0).pools[0].index, index);
}

TEST_F(Contents, of_policy_files_beside_the_configuration) {
  std::ofstream(directory_ / "bad.txt") << "# bad\n192.0.2.0/24\n198.51.100.0/24\n";
  plan(one_host + "[[service.policy]]\naction = \"deny\"\nfile = \"bad.txt\"\n");
  EXPECT_EQ(planned().service->policies->entries.size(), 2u);
  const auto config =
      read(one_host + "[[service.policy]]\naction = \"deny\"\nfile = "
                      "\"bad.txt\"\n[[service.policy]]\naction = \"serve\"\nprefixes = "
                      "[\"192.0.2.0/24\"]\n");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("server.toml:10"));
  EXPECT_THAT(config.error().message, HasSubstr("bad.txt:2"));
  std::ofstream(directory_ / "bad.txt") << "192.0.2.0/24\nnonsense\n";
  EXPECT_THAT(read(one_host + "[[service.policy]]\naction = \"deny\"\nfile = \"bad.txt\"\n")
                  .error()
                  .message,
              StartsWith((directory_ / "bad.txt").string() + ":2: "));
}

TEST_F(Contents, are_refused_with_the_line_that_is_wrong) {
  expect_refused(one_host + "unaware = \"reset\"\n", 5, "backend");
  expect_refused(one_host + "unaware = \"drop\"\n", 5, "unaware");
  expect_refused(one_host + "activate = \"never\"\n", 5, "activate");
  expect_refused(one_host + "health_rise = 0\n", 5, "health_rise");
  expect_refused(one_host + "syn_acks_per_s = -1\n", 5, "syn_acks_per_s");
  for (const char* line : {"scope_v4 = 7", "scope_v4 = 33", "scope_v6 = 15", "scope_v6 = 129",
                           "tag = 256", "tag = -1"})
    expect_refused(one_host +
                       "[[service.backend]]\naddress = \"198.51.100.20:80\"\nguard = \"a\"\n" +
                       line + "\n",
                   8, std::string(line).substr(0, std::string(line).find(' ')));
  expect_refused(one_host + "[[service.policy]]\naction = \"deny\"\ntag = 1\n", 7, "tag");
  expect_refused(one_host + "[[service.policy]]\naction = \"pool\"\ntag = 256\n", 7, "tag");
  expect_refused(one_host +
                     "[[service.policy]]\naction = \"allow\"\nprefixes = [\"192.0.2.0/24\"]\n",
                 6, "action");
  expect_refused(one_host + "[[service.policy]]\naction = \"deny\"\n", 5, "prefixes");
  expect_refused(
      one_host +
          "[[service.policy]]\naction = \"deny\"\npool = \"x\"\nprefixes = [\"192.0.2.0/24\"]\n",
      7, "pool");
  expect_refused(
      one_host +
          "[[service.policy]]\naction = \"pool\"\npool = \"x\"\nprefixes = [\"192.0.2.0/24\"]\n",
      5, "IPv4 backend");
  expect_refused(one_host +
                     "[[service.policy]]\naction = \"deny\"\nprefixes = [\"192.0.2.1/24\"]\n",
                 7, "192.0.2.0/24");
  expect_refused(one_host + "[budget]\nresets = 1\n", 6, "resets_per_s");
  const std::string backend =
      "[[service.backend]]\naddress = \"198.51.100.20:80\"\nguard = \"a\"\n";
  const std::string v4 =
      "interfaces = [\"eth0\"]\n[[service]]\nname = \"web\"\naddresses = [\"203.0.113.10:80\"]\n";
  expect_refused(v4 + "activate = \"attack\"\n" + backend, 5, "unaware = \"serve\"");
  expect_refused(v4 + "when_down = \"serve\"\n" + backend, 5, "unaware = \"serve\"");
  expect_refused(v4 + backend + "state = \"up\"\n", 8, "state");
  expect_refused(v4 + backend +
                     "[[service.policy]]\naction = \"serve\"\nprefixes = [\"192.0.2.0/24\"]\n",
                 8, "unaware = \"serve\"");
  expect_refused(one_host + backend + "unaware = \"reset\"\n", 8, "unaware");
}

TEST(TokenRate, is_what_it_says) {
  EXPECT_EQ(budget_rate(0).token_ns, 0u);
  EXPECT_EQ(budget_rate(1000).token_ns, 1000000u);
  EXPECT_EQ(budget_rate(1000).burst_ns, 10000000000u);
  EXPECT_EQ(packet_rate(0).token_ns, 0u);
  EXPECT_EQ(packet_rate(10).chunk, 1u);
  EXPECT_EQ(packet_rate(20000).chunk, 20u); // a millisecond's worth
  EXPECT_EQ(packet_rate(1000000).chunk, 64u);
  EXPECT_EQ(byte_rate(1024000).token_ns, 1000000u);
  EXPECT_EQ(byte_rate(1024000).burst_ns, 1000000000u);
  constexpr std::uint32_t longest_frame_kib =
      (14 + 8 + 40 + 65535 + 1023) / 1024; // jumbo, or made of many by receive offload
  for (const std::uint64_t bytes_per_s : {65536u, 65537u, 66000u, 100000u, 1000000u, 4000000000u}) {
    const trap_rate rate = byte_rate(bytes_per_s);
    trap_bucket bucket = {};
    EXPECT_TRUE(trap_bucket_take(&bucket, &rate, 1, longest_frame_kib))
        << "a frame that would never pass, at " << bytes_per_s;
    EXPECT_GE(rate.burst_ns, rate.token_ns * rate.chunk) << bytes_per_s;
  }
  for (const std::uint64_t per_s : {1u, 7u, 1000u, 50000000u, 100000000u}) {
    const trap_rate rate = cap_rate(per_s);
    EXPECT_NEAR(static_cast<double>(rate.token_ns) * static_cast<double>(per_s), 1e9, 5e7) << per_s;
    EXPECT_GE(rate.chunk, 1u);
    EXPECT_GE(rate.burst_ns, rate.token_ns * rate.chunk)
        << per_s; // else no chunk would ever be given
  }
}

} // namespace
} // namespace trap::test
