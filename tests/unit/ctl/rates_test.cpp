// SPDX-License-Identifier: Apache-2.0
// Rates between two samples: what is summed into which column, counters that begin again, services
// that come.
#include "ctl/top/rates.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <set>

#include "dataplane/verdict.h"
#include "runtime/verdict_text.h"

namespace trap::ctl {
namespace {

using nlohmann::ordered_json;
using testing::ElementsAre;
using testing::Pair;

ordered_json server(const ordered_json& web, const ordered_json& rest = ordered_json::object(),
                    bool active = true) {
  ordered_json sum = web;
  for (const auto& [verdict, packets] : rest.items())
    sum[verdict] = sum.value(verdict, 0) + packets.get<int>();
  const ordered_json service = {
      {"name", "web"},
      {"address", "203.0.113.10:80"},
      {"active", active},
      {"counters", web},
      {"bytes", {{"in", 1000 + web.value("reply-syn-ack", 0) * 60}, {"out", 2000}}}};
  return {{"part", "server"}, {"services", {service}}, {"counters", sum}};
}

// The number in the column of this key.
double per_s(const ServiceRates& rates, const std::string& key) {
  const std::vector<Column>& columns = columns_of(rates.last.part);
  for (std::size_t i = 0; i < columns.size(); i++) {
    if (columns[i].key == key)
      return rates.per_s.at(i);
  }
  ADD_FAILURE() << "no column " << key;
  return 0;
}

TEST(Rates, of_a_server) {
  const Sample before = read_sample({server({{"reply-syn-ack", 100}, {"drop-rst", 5}})}, 10);
  const Sample after = read_sample({server({{"reply-syn-ack", 300},
                                            {"drop-rst", 5},
                                            {"reply-redirect", 20},
                                            {"pass-cookie", 10},
                                            {"drop-bad-cookie", 8},
                                            {"drop-syn-ack-cap", 12}})},
                                   12);
  const auto rates = rates_between(before, after);
  ASSERT_EQ(rates.size(), 2u); // the service, and what is none's
  const ServiceRates& web = rates[0];
  EXPECT_EQ(web.last.service, "web");
  EXPECT_EQ(web.last.state, "active");
  EXPECT_DOUBLE_EQ(per_s(web, "syn"), 106);
  EXPECT_DOUBLE_EQ(per_s(web, "syn_ack"), 100);
  EXPECT_DOUBLE_EQ(per_s(web, "handshakes"), 15);
  EXPECT_DOUBLE_EQ(per_s(web, "redirects"), 10);
  EXPECT_DOUBLE_EQ(per_s(web, "served"), 5);
  EXPECT_DOUBLE_EQ(per_s(web, "dropped"), 10);
  EXPECT_THAT(web.drops, ElementsAre(Pair("drop-syn-ack-cap", 6.0), Pair("drop-bad-cookie", 4.0)));
  EXPECT_DOUBLE_EQ(web.bytes_in_per_s, 6000);
  EXPECT_DOUBLE_EQ(web.bytes_out_per_s, 0);
}

TEST(Rates, what_is_no_services_is_the_sum_without_them) {
  const Sample before = read_sample({server({{"drop-fragment", 5}}, {{"drop-fragment", 1}})}, 0);
  const Sample after = read_sample(
      {server({{"drop-fragment", 9}}, {{"drop-fragment", 3}, {"pass-other", 40}}, false)}, 1);
  const auto rates = rates_between(before, after);
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_EQ(rates[0].last.state, "resting");
  EXPECT_DOUBLE_EQ(per_s(rates[0], "dropped"), 4);
  EXPECT_EQ(rates[1].last.service, "");
  EXPECT_DOUBLE_EQ(per_s(rates[1], "dropped"), 2);
}

TEST(Rates, a_counter_that_became_smaller_began_again) {
  const Sample before = read_sample({server({{"reply-syn-ack", 1000000}})}, 0);
  const Sample after = read_sample({server({{"reply-syn-ack", 30}})}, 1);
  EXPECT_DOUBLE_EQ(per_s(rates_between(before, after)[0], "syn"), 30);
}

TEST(Rates, a_service_that_was_not_there_and_a_moment_without_length_have_none) {
  const Sample nothing = read_sample({}, 0);
  const Sample sample = read_sample({server({{"reply-syn-ack", 30}})}, 1);
  EXPECT_DOUBLE_EQ(per_s(rates_between(nothing, sample)[0], "syn"), 0);
  Sample same_moment = read_sample({server({{"reply-syn-ack", 90}})}, 1);
  EXPECT_DOUBLE_EQ(per_s(rates_between(sample, same_moment)[0], "syn"), 0);
  EXPECT_TRUE(rates_between(sample, nothing).empty());
}

TEST(Rates, of_guard_and_client) {
  auto parts = [](int packets) {
    const ordered_json guard = {
        {"part", "guard"},
        {"services",
         {{{"name", "web"},
           {"port", 80},
           {"counters", {{"pass-ticket", packets}, {"drop-uninvited", 2 * packets}}}}}},
        {"counters", {{"pass-ticket", packets}, {"drop-uninvited", 2 * packets}}}};
    const ordered_json client = {{"part", "client"},
                                 {"counters", {{"reply-reissued-syn", packets}}}};
    return std::vector<ordered_json>{guard, client};
  };
  const auto rates = rates_between(read_sample(parts(1), 0), read_sample(parts(4), 1));
  ASSERT_EQ(rates.size(), 3u);
  EXPECT_EQ(rates[0].last.address, "*:80");
  EXPECT_DOUBLE_EQ(per_s(rates[0], "syn"), 9);
  EXPECT_DOUBLE_EQ(per_s(rates[0], "by_ticket"), 3);
  EXPECT_EQ(rates[2].last.part, "client");
  EXPECT_DOUBLE_EQ(per_s(rates[2], "redirected"), 3);
}

TEST(Rates, columns_name_verdicts_that_exist) {
  std::set<std::string> known;
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++)
    known.insert(verdict_name(verdict));
  known.insert("monitored"); // stands for all that a guard would have dropped
  for (const std::string part : {"server", "guard", "client"}) {
    for (const Column& column : columns_of(part)) {
      for (const char* verdict : column.verdicts)
        EXPECT_TRUE(known.count(verdict)) << part << ", " << column.key << ": " << verdict;
    }
    EXPECT_TRUE(columns_of(part).back().verdicts.empty());
  }
}

} // namespace
} // namespace trap::ctl
