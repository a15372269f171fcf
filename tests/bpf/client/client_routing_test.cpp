// SPDX-License-Identifier: Apache-2.0
// Redirects go where the kernel would lead the socket itself, or the connect is served: for random
// rules and routes of a network namespace, read and written by the daemon's code, the kernel's own
// answer (`ip route get`) decides.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>

#include "client/daemon/maps/routing_maps.h"
#include "runtime/net/host_networks.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/loopback.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

using namespace client;

using Texts = std::vector<std::string>;

constexpr int settings_tried = 60, connects_tried = 5, least_compared = 100;

const Texts selectors = {"to {B}",         "to {N}",      "from {C}",
                         "fwmark 7",       "fwmark 4/4",  "uidrange 1000-1000",
                         "uidrange 0-999", "iif lo",      "iif two",
                         "oif one",        "oif two",     "tos 0x10",
                         "ipproto tcp",    "ipproto udp", "sport 40000",
                         "sport 1-1000",   "dport 80",    "dport 81-90"};
const Texts actions = {
    "lookup 77", "lookup 77", "lookup 78", "lookup main", "unreachable",
    "blackhole", "prohibit",  "goto 2000", "goto 2001",   "lookup main suppress_prefixlength 0"};
const Texts routes = {"{B} dev one via {G}", "{N} dev one via {G}", "default dev one via {G}",
                      "{B} dev one via {H}", "{P} dev one via {H}", "default dev one via {H}",
                      "{B} dev one",         "{P} dev one",         "{N} dev one",
                      "{B} dev two",         "{N} dev two",         "default dev two",
                      "unreachable {B}",     "blackhole {B}",       "prohibit {N}",
                      "throw {B}",           "throw {N}",           "unreachable default"};

const Texts neighbours = {"{B} dev one via {H}", "{P} dev one via {H}", "{B} dev one",
                          "{P} dev one"};

// A connect's marks that rules can go by.
struct Connect {
  std::uint32_t mark, user;
  int tos, backend_port;
};

class ClientRouting : public testing::TestWithParam<int> {
protected:
  static void SetUpTestSuite() {
    former_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  }
  static void TearDownTestSuite() {
    setns(former_, CLONE_NEWNET);
    close(former_);
  }

  void SetUp() override {
    client_ = &fresh_object(part_under_test(), constants_);
    if (if_nametoindex("one") == 0) {
      run_ip("link set lo up\nlink add one type veth peer name one-far\n"
             "link add two type veth peer name two-far\nlink set one up\nlink set one-far up\n"
             "link set two up\nlink set two-far up\n");
    }
    one_ = if_nametoindex("one");
    run_ip(family() == 4 ? "address add {C}/32 dev one\nroute add {G}/32 dev one\n"
                           "route add {H}/32 dev one\nroute add default via {G} dev one\n"
                         : "address add {C}/128 dev one nodad\nroute add {G}/128 dev one\n"
                           "route add {H}/128 dev one\nroute add ::/0 via {G} dev one\n");
    run_ip("rule add priority 2000 fwmark 0x999 lookup main\n");
  }

  int family() const { return GetParam(); }

  std::string address(const std::string& role) const {
    const std::string text = quoted(constants_, role, family());
    return text.substr(1, text.size() - 2);
  }

  std::string fill(std::string text) const {
    const bool is_v4 = family() == 4;
    const std::pair<std::string, std::string> names[] = {
        {"{B}", address("backend") + (is_v4 ? "/32" : "/128")},
        {"{N}", address("backend") + (is_v4 ? "/31" : "/127")},
        {"{P}", address("public") + (is_v4 ? "/32" : "/128")},
        {"{C}", address("client")},
        {"{G}", is_v4 ? "192.0.0.8" : "2001:db8:6e::1"},
        {"{H}", is_v4 ? "192.0.0.9" : "2001:db8:6e::2"}};
    for (const auto& [name, value] : names)
      for (auto at = text.find(name); at != std::string::npos; at = text.find(name))
        text.replace(at, name.size(), value);
    return text;
  }

  // The output; empty with an error.
  std::string ip(const std::string& arguments) const {
    const std::string line =
        "ip -" + std::to_string(family()) + " " + fill(arguments) + " 2>/dev/null";
    FILE* pipe = popen(line.c_str(), "r");
    std::array<char, 4096> buffer{};
    const std::size_t got = fread(buffer.data(), 1, buffer.size(), pipe);
    return pclose(pipe) == 0 ? std::string(buffer.data(), got) : "";
  }

  // Lines that the kernel refuses (a second one alike) are left out.
  void run_ip(const std::string& lines) const {
    FILE* pipe =
        popen(("ip -force -" + std::to_string(family()) + " -batch - 2>/dev/null").c_str(), "w");
    const std::string text = fill(lines);
    fwrite(text.data(), 1, text.size(), pipe);
    pclose(pipe);
  }

  const std::string& any(const Texts& texts) { return texts[random_() % texts.size()]; }

  std::string random_rule(int priority) {
    std::string rule = random_() % 6 == 0 ? "not " : "";
    const std::string& first = any(selectors);
    rule += first + " ";
    const std::string& second = any(selectors);
    if (random_() % 2 && second.substr(0, 3) != first.substr(0, 3))
      rule += second + " ";
    return rule + "priority " + std::to_string(priority) + " " + any(actions);
  }

  // Rules that are valid for the kernel, and routes for their tables; as a batch with `{verb}`.
  std::string random_setting() {
    std::string batch;
    const unsigned rules = 1 + random_() % 4;
    for (unsigned i = 0; i < rules; i++)
      batch += "rule {verb} " + random_rule(static_cast<int>(1000 + 10 * i)) + "\n";
    const unsigned count = random_() % 5;
    for (unsigned i = 0; i < count; i++)
      batch += "route {verb} " + any(routes) + " table " + (random_() % 3 ? "77" : "78") + "\n";
    if (random_() % 8 == 0)
      batch += "route {verb} " + any({"{B} dev two", "unreachable {B}"}) + "\n";
    else if (random_() % 3 == 0)
      batch += "route {verb} " + any(neighbours) + "\n";
    return batch;
  }

  static std::string with_verb(std::string batch, const std::string& verb) {
    for (auto at = batch.find("{verb}"); at != std::string::npos; at = batch.find("{verb}"))
      batch.replace(at, 6, verb);
    return batch;
  }

  void publish() {
    const auto networks = read_host_networks(TRAP_CLIENT_MAX_ROUTES);
    ASSERT_TRUE(networks) << networks.error().message;
    ASSERT_TRUE(is_followed(networks->routing.get()));
    auto settings = client_->get<trap_client_settings>("settings", std::uint32_t{0});
    const auto written =
        write_routing({.rules = client_->map_fd("rules"), .routes = client_->map_fd("routes")},
                      settings, networks->routing.get());
    ASSERT_TRUE(written) << written.error().message;
    client_->put("settings", std::uint32_t{0}, settings);
  }

  std::string route_of(const Connect& connect, const std::string& role, int port) const {
    return ip("route get " + address(role) + " from {C} mark " + std::to_string(connect.mark) +
              " uid " + std::to_string(connect.user) + " tos " + (connect.tos ? "0x10" : "0") +
              " ipproto tcp sport 40000 dport " + std::to_string(port));
  }

  // The gateway, or the address itself if it is on the link.
  std::string next_hop_of(const Connect& connect, const std::string& role, int port) const {
    std::istringstream answer{route_of(connect, role, port)};
    std::string word, hop;
    for (bool next = false; answer >> word; next = word == "via")
      hop = next ? word : hop;
    return hop.empty() ? address(role) : hop;
  }

  // Would the kernel lead the connect by interface one?
  bool leads_by_one(const Connect& connect, const std::string& role, int port) const {
    const std::string answer = route_of(connect, role, port);
    return answer.find(" dev one ") != std::string::npos && answer.rfind("unreachable", 0) != 0 &&
           answer.rfind("blackhole", 0) != 0 && answer.rfind("prohibit", 0) != 0;
  }

  // The REDIRECT for a connect whose SYN left by interface one.
  trap_verdict verdict_of_redirect(const Connect& connect) {
    for (const char* map : {"pending", "to_backend", "to_public", "redirects", "origins"})
      client_->clear(map);
    const Json pending = {{"local", "client"}, {"remote", "public"},   {"local_port", 40000},
                          {"remote_port", 80}, {"isn", "$isn"},        {"iss", 6},
                          {"accepted", 6},     {"accepts", 1},         {"state", 1},
                          {"flags", 2},        {"hops", 64},           {"tos", connect.tos},
                          {"ifindex", one_},   {"mark", connect.mark}, {"user", connect.user}};
    const DescribedEntry described = describe_entry("pending", pending, family(), constants_, 0);
    client_->put("pending", described.key, described.value);
    const Json redirect = {{"redirect", {{"port", connect.backend_port}}}};
    const Json packet = {{"ip", {{"src", "public"}, {"dst", "client"}}},
                         {"tcp",
                          {{"sport", 80},
                           {"dport", 40000},
                           {"seq", 7},
                           {"ack", "$isn+1"},
                           {"flags", "RA"},
                           {"window", 0},
                           {"options", Json::array({redirect})}}}};
    const auto before = client_->counters(0);
    client_->run("trap_client_ingress", build_packet(packet, family(), constants_));
    const auto after = client_->counters(0);
    for (std::size_t verdict = 0; verdict < after.size(); verdict++)
      if (after[verdict] != before[verdict])
        return static_cast<trap_verdict>(verdict);
    return TRAP_VERDICT_COUNT;
  }

  // Do the packets of the connect that was redirected go to a neighbour of their own?
  bool has_own_neighbour() const {
    trap_tuple tuple = {};
    tuple.local = *parse_address(address("client"));
    tuple.remote = *parse_address(address("public"));
    tuple.local_port = TRAP_BE16(40000);
    tuple.remote_port = TRAP_BE16(80);
    return client_->get<trap_outward>("to_backend", tuple).flags & TRAP_FLOW_VIA_NEIGHBOUR;
  }

  // A rule for users or ports says nothing about neighbours: the kernel's helper goes by neither.
  static bool says_next_hops(const std::string& setting) {
    return setting.find("uidrange") == std::string::npos &&
           setting.find("port ") == std::string::npos;
  }

  Connect random_connect() {
    constexpr std::uint32_t marks[] = {0, 7, 4, 8}, users[] = {0, 1000, 65534};
    return {marks[random_() % 4], users[random_() % 3], random_() % 3 ? 0 : 0x10,
            random_() % 3 ? 80 : 81};
  }

  const TestConstants constants_;
  Object* client_ = nullptr;
  unsigned one_ = 0;
  // The same each time, but with --gtest_shuffle.
  std::mt19937 random_{static_cast<unsigned>(testing::UnitTest::GetInstance()->random_seed())};
  static int former_;
};

int ClientRouting::former_ = -1;

TEST_P(ClientRouting, leads_a_connect_as_the_kernel_would_or_has_it_served) {
  int compared = 0, served = 0, same = 0, others = 0;
  const auto is_enough = [&] {
    return compared >= least_compared && served >= least_compared / 5 &&
           same >= least_compared / 10 && others >= least_compared / 10;
  };
  for (int i = 0; i < settings_tried || (!is_enough() && i < 3 * settings_tried); i++) {
    const std::string setting = random_setting();
    run_ip(with_verb(setting, "add"));
    publish();
    for (int j = 0; j < connects_tried; j++) {
      const Connect connect = random_connect();
      if (!leads_by_one(connect, "public", 80))
        continue;
      const bool by_one = leads_by_one(connect, "backend", connect.backend_port);
      const trap_verdict verdict = verdict_of_redirect(connect);
      EXPECT_EQ(verdict, by_one ? TRAP_REPLY_REISSUED_SYN : TRAP_REPLY_SYN_AGAIN)
          << setting << "mark " << connect.mark << " user " << connect.user << " tos "
          << connect.tos << " port " << connect.backend_port << "\n"
          << ip("rule") << ip("route show table 77") << ip("route show table 78");
      compared++;
      served += !by_one;
      if (!by_one || verdict != TRAP_REPLY_REISSUED_SYN || !says_next_hops(setting))
        continue;
      const bool other = next_hop_of(connect, "public", 80) !=
                         next_hop_of(connect, "backend", connect.backend_port);
      EXPECT_EQ(has_own_neighbour(), other)
          << setting << ip("rule") << ip("route") << ip("route show table 77");
      (other ? others : same)++;
    }
    run_ip(with_verb(setting, "delete"));
    if (HasFailure())
      break;
  }
  EXPECT_TRUE(is_enough()) << compared << " connects, " << served << " served, " << same
                           << " with the same next hop, " << others << " with another";
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, ClientRouting, testing::Values(4, 6));

} // namespace
} // namespace trap::test
