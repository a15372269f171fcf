// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/enforcement/closing_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trap::guard {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

GuardConfig enforcing() {
  GuardConfig config;
  config.services = {{.name = "web", .port = 443}, {.name = "plain", .port = 80}};
  return config;
}

TEST(ClosingRules, drop_each_protected_port_once) {
  GuardConfig config = enforcing();
  config.services.push_back({.name = "again", .port = 443, .sockets_here = false});
  EXPECT_THAT(closing_rules(config), HasSubstr("tcp dport { 80, 443 } drop"));
}

TEST(ClosingRules, let_through_what_the_guard_would_without_an_invitation) {
  GuardConfig config = enforcing();
  config.trusted = {*parse_prefix("192.0.2.0/24"), *parse_prefix("198.51.100.7"),
                    *parse_prefix("2001:db8:1::/48")};
  const std::string rules = closing_rules(config);
  for (const char* rule : {"    iif \"lo\" accept\n", "    ip saddr 192.0.2.0/24 accept\n",
                           "    ip saddr 198.51.100.7", "    ip6 saddr 2001:db8:1::/48 accept\n"})
    EXPECT_THAT(rules, HasSubstr(rule));
  EXPECT_LT(rules.find("ip6 saddr"), rules.find("drop")) << "a rule behind the drop is never met";
}

TEST(ClosingRules, replace_those_of_an_earlier_start) {
  EXPECT_EQ(closing_rules(enforcing())
                .find("table inet trap_guard_closed\ndelete table inet "
                      "trap_guard_closed\ntable inet trap_guard_closed {"),
            0U);
}

TEST(ClosingRules, are_none_where_the_guard_drops_nothing) {
  GuardConfig config = enforcing();
  config.mode = Mode::monitor;
  EXPECT_THAT(closing_rules(config), IsEmpty());
  EXPECT_THAT(closing_rules(GuardConfig{}), IsEmpty());
}

} // namespace
} // namespace trap::guard
