// SPDX-License-Identifier: Apache-2.0
// A service is ready or not by the facts that decide on its clients, and the answers to GET /ready.
#include "server/daemon/report/readiness.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "runtime/control/readiness.h"

namespace trap::server {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Redirects aware clients to one backend, and serves the others.
const ReadinessFacts all_is_well = {true, true, true, true, 1, 1, {}};

TEST(Readiness, falls_with_everything_that_stops_all_clients) {
  EXPECT_THAT(unready_reason(all_is_well), IsEmpty());
  ReadinessFacts detached = all_is_well, keyless = all_is_well;
  detached.attached = false;
  EXPECT_THAT(unready_reason(detached), HasSubstr("no interface"));
  keyless.has_key = false;
  EXPECT_THAT(unready_reason(keyless), HasSubstr("no key"));
}

// Each way to treat the clients that are not redirected, with backends up, down, or none.
TEST(Readiness, is_where_its_clients_are_led) {
  struct Case {
    bool serves, serves_when_down;
    std::size_t backends, usable_backends;
    const char* listener_problem;
    bool ready;
    const char* leads_to;
  };
  const Case cases[] = {
      {false, false, 2, 2, "", true, "2 backends"},
      {false, false, 2, 1, "", true, "1 backend"},
      {false, false, 2, 0, "", false, ""},
      {true, true, 1, 1, "", true, "1 backend and this host"},
      {true, true, 1, 1, "nothing listens", false, ""},
      {true, true, 1, 0, "", true, "this host"},
      {true, true, 1, 0, "nothing listens", false, ""},
      {true, false, 1, 0, "", false, ""},
      {true, true, 0, 0, "", true, "this host"},
      {true, true, 0, 0, "nothing listens", false, ""},
  };
  for (const Case& each : cases) {
    const ReadinessFacts facts = {true,
                                  true,
                                  each.serves,
                                  each.serves_when_down,
                                  each.backends,
                                  each.usable_backends,
                                  each.listener_problem};
    EXPECT_EQ(unready_reason(facts).empty(), each.ready)
        << each.serves << each.serves_when_down << each.backends << each.usable_backends;
    if (each.ready)
      EXPECT_EQ(led_to(facts), each.leads_to);
  }
}

TEST(ReadyAnswer, is_for_every_address_of_the_services_asked_for) {
  const std::vector<Readiness> services = {{"web", "203.0.113.10:80", "this host", ""},
                                           {"web", "[2001:db8::10]:80", "", "nothing listens"},
                                           {"ssh", "203.0.113.10:22", "this host", ""}};
  EXPECT_EQ(ready_answer(services, "").http_status, 503);
  EXPECT_EQ(ready_answer(services, "ssh").http_status, 200);
  EXPECT_EQ(ready_answer(services, "mail").http_status, 404);
  const ReadyAnswer web = ready_answer(services, "web");
  EXPECT_EQ(web.http_status, 503);
  const auto json = nlohmann::json::parse(web.json);
  EXPECT_EQ(json["ready"], false);
  ASSERT_EQ(json["services"].size(), 2u);
  EXPECT_EQ(json["services"][0]["leads_to"], "this host");
  EXPECT_EQ(json["services"][1]["reason"], "nothing listens");
}

TEST(ReadyAnswer, of_a_part_without_services_says_that_it_has_started) {
  EXPECT_EQ(ready_answer({}, "").http_status, 200);
  EXPECT_EQ(starting_answer().http_status, 503);
}

} // namespace
} // namespace trap::server
