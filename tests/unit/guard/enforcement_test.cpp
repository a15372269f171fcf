// SPDX-License-Identifier: Apache-2.0
// The guard's mode as an instant, who is warned before it enforces, and whom it names while it does
// not.
#include "guard/daemon/enforcement/enforcement.h"

#include <gmock/gmock.h>

#include <sstream>

#include "guard/daemon/enforcement/lockout.h"
#include "guard/daemon/enforcement/suspects.h"

namespace trap::guard {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t second_ns = 1000000000;

trap_address address(const std::string& text) {
  return *parse_address(text);
}

TEST(Enforcement, a_trial_runs_out_by_itself) {
  trap_guard_settings settings = {};
  EXPECT_EQ(enforcement_of(settings, 5 * second_ns).mode, Mode::monitor);
  enforce_for(settings, 60, 5 * second_ns);
  EXPECT_EQ(enforcement_of(settings, 5 * second_ns).confirm_within_s, 60u);
  EXPECT_EQ(enforcement_of(settings, 65 * second_ns - 1).mode, Mode::enforce);
  EXPECT_EQ(enforcement_of(settings, 65 * second_ns - 1).confirm_within_s, 1u);
  EXPECT_EQ(enforcement_of(settings, 65 * second_ns).mode, Mode::monitor);
  EXPECT_FALSE(confirm(settings, 65 * second_ns));
}

TEST(Enforcement, confirmed_it_lasts) {
  trap_guard_settings settings = {};
  enforce_for(settings, 60, second_ns);
  ASSERT_TRUE(confirm(settings, 60 * second_ns));
  EXPECT_EQ(enforcement_of(settings, 1000 * second_ns).mode, Mode::enforce);
  EXPECT_FALSE(enforcement_of(settings, 1000 * second_ns).confirm_within_s);
  set_mode(settings, Mode::monitor);
  EXPECT_EQ(enforcement_of(settings, 0).mode, Mode::monitor);
}

TEST(Enforcement, commands) {
  auto request = parse_enforce({"enforce", "force", "for", "60", "operator", "2001:db8::1", "22"});
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->force);
  EXPECT_EQ(request->seconds, 60u);
  EXPECT_EQ(request->operator_port, 22);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"enforce", "for"},
                                             {"enforce", "for", "0"},
                                             {"enforce", "for", "86401"},
                                             {"enforce", "for", "6x"},
                                             {"enforce", "operator", "::1"},
                                             {"enforce", "operator", "x", "22"},
                                             {"enforce", "now"}})
    EXPECT_FALSE(parse_enforce(words)) << words.back();
}

GuardConfig config_of(bool sockets_here) {
  GuardConfig config;
  ServiceConfig service;
  service.name = "web";
  service.port = 8080;
  service.sockets_here = sockets_here;
  config.services = {service};
  return config;
}

TEST(Lockout, of_the_operator) {
  const auto ssh = parse_ssh_connection("198.51.100.7 50000 203.0.113.10 8080");
  ASSERT_TRUE(ssh);
  GuardConfig config = config_of(true);
  const auto warnings = lockout_warnings(config, ssh, {});
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("198.51.100.7"));
  EXPECT_THAT(
      lockout_warnings(config, parse_ssh_connection("198.51.100.7 50000 203.0.113.10 22"), {}),
      IsEmpty());
  config.trusted = {*parse_prefix("198.51.101.0/24")};
  EXPECT_EQ(lockout_warnings(config, ssh, {}).size(), 1u);
  config.trusted.push_back(*parse_prefix("198.51.100.0/24"));
  EXPECT_THAT(lockout_warnings(config, ssh, {}), IsEmpty());
  EXPECT_FALSE(parse_ssh_connection("198.51.100.7 50000 203.0.113.10"));
  EXPECT_FALSE(parse_ssh_connection(""));
}

TEST(Lockout, of_connections_whose_sockets_are_here_after_all) {
  std::istringstream v4("  sl  local_address rem_address   st\n"
                        "   0: 0A7100CB:1F90 076433C6:C350 01 00000000:00000000\n"
                        "   1: 0A7100CB:1F90 086433C6:C350 06 00000000:00000000\n"
                        "   2: 00000000:1F90 00000000:0000 0A 00000000:00000000\n"
                        "   3: 0A7100CB:0016 076433C6:C350 01 00000000:00000000\n");
  std::istringstream v6(
      "   0: 0000000000000000FFFF00000A7100CB:1F90 0000000000000000FFFF0000096433C6:C350 01 0\n"
      "   1: B80D0120000000000000000001000000:1F90 B80D0120000000000000000002000000:C351 01 0\n");
  auto open = read_established(v4);
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(format_address(open[0].client), "198.51.100.7");
  EXPECT_EQ(open[0].client_port, TRAP_BE16(50000));
  const auto of_v6 = read_established(v6);
  ASSERT_EQ(of_v6.size(), 2u);
  EXPECT_EQ(format_address(of_v6[0].client), "198.51.100.9");
  EXPECT_EQ(format_address(of_v6[1].client), "2001:db8::2");
  open.insert(open.end(), of_v6.begin(), of_v6.end());
  EXPECT_THAT(lockout_warnings(config_of(true), std::nullopt, open), IsEmpty());
  const auto warnings = lockout_warnings(config_of(false), std::nullopt, open);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("3 connections to port 8080"));
}

TEST(Suspects, the_longest_unseen_makes_room) {
  Suspects suspects(2);
  suspects.add({address("198.51.100.1"), 1, 5}, 10);
  suspects.add({address("198.51.100.2"), 1, 5}, 11);
  suspects.add({address("198.51.100.1"), 2, 6}, 12);
  suspects.add({address("198.51.100.3"), 1, 5}, 13);
  const auto top = suspects.top(5);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(format_address(top[0].source), "198.51.100.1");
  EXPECT_EQ(top[0].times, 2u);
  EXPECT_EQ(top[0].slot, 2u);
  EXPECT_EQ(top[0].verdict, 6u);
  EXPECT_EQ(format_address(top[1].source), "198.51.100.3");
  EXPECT_EQ(suspects.top(1).size(), 1u);
}

} // namespace
} // namespace trap::guard
