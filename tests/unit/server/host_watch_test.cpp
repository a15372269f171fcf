// SPDX-License-Identifier: Apache-2.0
// The daemon's reports on the host's settings, read in a namespace of its own, and on top talkers.
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include <bpf/bpf.h>

#include "runtime/fd.h"
#include "server/daemon/maps/client_budgets.h"
#include "server/daemon/report/top_talkers.h"
#include "server/daemon/watch/host_settings.h"
#include "server/maps.h"
#include "tests/unit/server/own_network.h"

namespace trap::test {
namespace {

using server::HostSettings;
using server::Talker;

using HostSettingsOf = OwnNetwork;

TEST_F(HostSettingsOf, a_namespace_are_read) {
  set("tcp_syncookies", 2);
  set("tcp_timestamps", 2);
  set("tcp_sack", 0);
  set("tcp_window_scaling", 1);
  set("tcp_ecn", 2);
  EXPECT_EQ(server::read_host_settings(), (HostSettings{2, 2, 0, 1, 2}));
  set("tcp_syncookies", 1);
  set("tcp_timestamps", 0);
  set("tcp_sack", 1);
  set("tcp_ecn", 0);
  EXPECT_EQ(server::read_host_settings(), (HostSettings{1, 0, 1, 1, 0}));
}

TEST(HostSettingsProblems, name_the_setting_and_the_command) {
  EXPECT_TRUE(server::problems_of({2, 2, 1, 1}, false).empty());
  EXPECT_TRUE(server::problems_of({2, 2, 0, 0}, false).empty());
  const auto cookies = server::problems_of({1, 2, 1, 1}, false);
  ASSERT_EQ(cookies.size(), 1U);
  EXPECT_NE(cookies[0].find("net.ipv4.tcp_syncookies is 1"), std::string::npos);
  EXPECT_NE(cookies[0].find("sysctl -w net.ipv4.tcp_syncookies=2"), std::string::npos);
  EXPECT_TRUE(server::problems_of({1, 1, 1, 1}, true).empty());
  EXPECT_TRUE(server::problems_of({1, 0, 0, 0}, true).empty());
  const auto none = server::problems_of({0, 1, 1, 1}, true);
  ASSERT_EQ(none.size(), 1U);
  EXPECT_NE(none[0].find("sysctl -w net.ipv4.tcp_syncookies=1"), std::string::npos);
  const auto both = server::problems_of({}, false);
  ASSERT_EQ(both.size(), 2U);
  EXPECT_NE(both[1].find("net.ipv4.tcp_timestamps cannot be read"), std::string::npos);
  for (const std::string& line : both)
    EXPECT_EQ(line.find('\n'), std::string::npos);
}

Talker talker(const char* address, std::uint64_t handshakes) {
  return {*parse_address(address), 32, handshakes};
}

TEST(TopTalkers, are_those_with_most_handshakes_in_an_order_that_stays) {
  std::vector<Talker> talkers = {talker("198.51.100.7", 5), talker("198.51.100.1", 7),
                                 talker("198.51.100.3", 7), talker("198.51.100.2", 7),
                                 talker("198.51.100.9", 1)};
  std::mt19937 random(1);
  for (int i = 0; i < 20; i++) {
    std::shuffle(talkers.begin(), talkers.end(), random);
    std::string order;
    for (const Talker& one : server::top_of(talkers, 4))
      order += server::format_talker(one) + " ";
    EXPECT_EQ(order, "198.51.100.1/32 198.51.100.2/32 198.51.100.3/32 198.51.100.7/32 ");
  }
  EXPECT_EQ(server::top_of(talkers, 10).size(), 5U);
  EXPECT_TRUE(server::top_of({}, 10).empty());
}

TEST(TopTalkers, are_read_from_the_map_without_networks) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
  const Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "clients", sizeof(__u32), sizeof(trap_budget_row),
                              TRAP_BUDGET_ROWS, &options));
  if (!map && errno == EPERM)
    GTEST_SKIP() << "this process may not make BPF maps";
  ASSERT_TRUE(map) << errno;
  const trap_key secret = {.start = {1, 2, 3, 4}};
  std::vector<trap_budget_row> rows(TRAP_BUDGET_ROWS);
  const auto put = [&](const trap_address& address, unsigned bits, std::uint64_t handshakes) {
    server::place_budget(rows, {address, bits, 0}, {.bucket = {}, .handshakes = handshakes},
                         secret);
  };
  for (std::uint32_t i = 0; i < 10'000; i++) {
    put(trap_address_v4(TRAP_BE32(0xc6336400 + i)), 32, i);
    put(trap_address_v4(TRAP_BE32(0x0a000000 + (i << 8))), 24, 1'000'000 + i);
  }
  put(*parse_address("2001:db8:1:2::"), 64, 9'998);
  put(*parse_address("::"), 64, 10'000); // whose word in the table is one of the marked
  put(*parse_address("2001:db8:1::"), 48, 2'000'000);
  for (std::uint32_t row = 0; row < TRAP_BUDGET_ROWS; row++)
    ASSERT_EQ(bpf_map_update_elem(map.get(), &row, &rows[row], BPF_ANY), 0);
  std::vector<std::string> lines;
  for (const Talker& one : server::top_talkers(map.get(), 4))
    lines.push_back(server::format_talker(one) + " " + std::to_string(one.handshakes));
  EXPECT_EQ(lines, (std::vector<std::string>{"::/64 10000", "198.51.139.15/32 9999",
                                             "198.51.139.14/32 9998", "2001:db8:1:2::/64 9998"}));
}

} // namespace
} // namespace trap::test
