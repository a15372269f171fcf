// SPDX-License-Identifier: Apache-2.0
// trapctl ready: a service is ready or not by the facts that decide on clients, and by no others.
#include <gmock/gmock.h>

#include "ctl/ready/readiness.h"

namespace trap::ctl {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;
using testing::IsEmpty;

ordered_json backend(double share_percent, const std::string& pool = "") {
  return {{"address", "198.51.100.20:80"}, {"pool", pool}, {"share_percent", share_percent}};
}

// Redirects aware clients to one backend, and serves the others.
ordered_json service() {
  return {{"name", "web"},      {"address", "203.0.113.10:80"},
          {"unaware", "serve"}, {"when_down", "serve"},
          {"listener", "ok"},   {"backends", ordered_json::array({backend(100)})}};
}

ordered_json status(const std::vector<ordered_json>& services) {
  return {{"part", "server"},
          {"state", "ok"},
          {"interfaces", ordered_json::array({{{"name", "eth0"}, {"attached", true}}})},
          {"keys", {{"seconds_left", 8000}}},
          {"services", services}};
}

std::string reason(const ordered_json& whole) {
  const auto found = readiness_of(whole, "");
  return found.size() == 1 ? found[0].reason : "not one service";
}

TEST(Readiness, of_a_service_that_leads_somewhere) {
  const auto found = readiness_of(status({service()}), "web");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].ready());
  EXPECT_EQ(found[0].leads_to, "1 backend and this host");
  auto two = service();
  two["unaware"] = "reset";
  two["listener"] = nullptr;
  two["backends"] = ordered_json::array({backend(40), backend(60), backend(0)});
  EXPECT_EQ(readiness_of(status({two}), "")[0].leads_to, "2 backends");
}

TEST(Readiness, ignores_problems_that_stop_no_client) {
  auto whole = status({service()});
  whole["state"] = "degraded";
  whole["problems"] = {"the last reload failed", "interface eth1 is gone"};
  whole["interfaces"].push_back({{"name", "eth1"}, {"attached", false}});
  EXPECT_THAT(reason(whole), IsEmpty());
}

TEST(Readiness, falls_with_everything_that_stops_all_clients) {
  auto starting = status({service()});
  starting["state"] = "starting";
  EXPECT_THAT(reason(starting), HasSubstr("starting"));
  auto detached = status({service()});
  detached["interfaces"][0]["attached"] = false;
  EXPECT_THAT(reason(detached), HasSubstr("no interface"));
  auto keyless = status({service()});
  keyless["keys"]["seconds_left"] = 0;
  EXPECT_THAT(reason(keyless), HasSubstr("key"));
}

// Each way to treat the clients that are not redirected, with backends up, down, or none.
TEST(Readiness, is_where_its_clients_are_led) {
  struct Case {
    const char* unaware;
    const char* when_down;
    ordered_json backends;
    const char* listener;
    bool ready;
  };
  const auto up = ordered_json::array({backend(100)}), down = ordered_json::array({backend(0)});
  const auto none = ordered_json::array();
  const auto elsewhere = ordered_json::array({backend(100, "beta")});
  const Case cases[] = {
      {"reset", "silence", up, "", true},         {"reset", "silence", down, "", false},
      {"reset", "silence", elsewhere, "", false}, {"serve", "serve", up, "ok", true},
      {"serve", "serve", up, "down", false},      {"serve", "serve", down, "ok", true},
      {"serve", "serve", down, "down", false},    {"serve", "silence", down, "ok", false},
      {"serve", "serve", none, "ok", true},       {"serve", "serve", none, "down", false},
  };
  for (const Case& each : cases) {
    auto judged = service();
    judged["unaware"] = each.unaware;
    judged["when_down"] = each.when_down;
    judged["backends"] = each.backends;
    judged["listener"] = *each.listener == '\0' ? ordered_json() : ordered_json(each.listener);
    EXPECT_EQ(reason(status({judged})).empty(), each.ready) << judged.dump();
  }
}

TEST(Readiness, is_told_for_each_address_of_the_service_asked_for) {
  auto second = service(), other = service();
  second["address"] = "[2001:db8::10]:80";
  second["listener"] = "nothing listens";
  other["name"] = "ssh";
  const auto found = readiness_of(status({service(), second, other}), "web");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0].ready());
  EXPECT_EQ(found[1].reason, "nothing listens");
  EXPECT_THAT(readiness_of(status({service()}), "mail"), IsEmpty());
}

} // namespace
} // namespace trap::ctl
