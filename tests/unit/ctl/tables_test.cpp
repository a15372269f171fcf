// SPDX-License-Identifier: Apache-2.0
// The output of trapctl: rates in five characters, tables, epochs with their times.
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "ctl/key/key_epochs.h"
#include "ctl/table.h"
#include "ctl/top/top_table.h"
#include "protocol/clock.h"

namespace trap::ctl {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Table, columns_are_as_wide_as_their_widest_cell) {
  EXPECT_EQ(format_rows({{"A", "N", "LAST"}, {"long", "7", "x"}, {"b", "1234", "yy"}}, "  ", 1, 2),
            "  A        N  LAST\n"
            "  long     7  x\n"
            "  b     1234  yy\n");
  EXPECT_EQ(format_rows({}, "  "), "");
}

TEST(Table, rates_keep_three_digits_and_never_need_more_than_five_characters) {
  const std::pair<double, const char*> cases[] = {
      {0, "0"},          {0.04, "0.0"},       {3.14, "3.1"},   {9.96, "10"},    {999.4, "999"},
      {999.6, "1.00k"},  {1254, "1.25k"},     {9999, "10.0k"}, {99960, "100k"}, {999499, "999k"},
      {999999, "1.00M"}, {14880952, "14.9M"}, {1e9, "1.00G"},  {5e11, "500G"}};
  for (const auto& [rate, text] : cases) {
    EXPECT_EQ(format_rate(rate), text);
    EXPECT_LE(format_rate(rate).size(), 5u);
  }
}

ServiceRates some_rates(const std::string& part, const std::string& service) {
  ServiceRates rates;
  rates.last.part = part;
  rates.last.service = service;
  rates.per_s.assign(columns_of(part).size(), 1);
  return rates;
}

TEST(Table, of_rates_has_a_line_for_each_service_and_for_drops_that_are_none_s) {
  ServiceRates web = some_rates("server", "web");
  web.drops = {{"drop-a", 400}, {"drop-b", 30}, {"drop-c", 2}, {"drop-d", 1}};
  ServiceRates rest = some_rates("server", "");
  std::string text = format_rates({web, rest, some_rates("client", "")});
  EXPECT_THAT(text, HasSubstr("drop-a 400, drop-b 30, drop-c 2.0, ..."));
  EXPECT_THAT(text, Not(HasSubstr("trap-guard")));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'),
            3 + 1 + 3); // title, head, web; an empty line; title, head, client
  rest.drops = {{"drop-fragment", 7}};
  EXPECT_THAT(format_rates({web, rest}), HasSubstr("drop-fragment 7.0"));
}

TEST(Table, rates_as_json_have_the_column_s_keys) {
  ServiceRates web = some_rates("server", "web");
  web.drops = {{"drop-rst", 4}};
  const auto json = rates_json({web}, 1.5);
  EXPECT_EQ(json["interval_s"], 1.5);
  EXPECT_EQ(json["services"][0]["per_s"]["syn_ack"], 1);
  EXPECT_EQ(json["services"][0]["drops_per_s"]["drop-rst"], 4);
}

TEST(KeyEpochs, around_the_present_one_with_their_times) {
  const std::uint64_t present = trap_epoch(1700000000ULL * 1000000000ULL);
  const auto epochs = key_epochs(present, {present, present + 1, present + 2});
  ASSERT_EQ(epochs.size(), 4u);
  EXPECT_EQ(epochs[0].role, "previous");
  EXPECT_FALSE(epochs[0].held);
  EXPECT_EQ(epochs[1].role, "present");
  EXPECT_TRUE(epochs[1].held);
  EXPECT_EQ(epochs[2].role, "next");
  EXPECT_EQ(epochs[3].role, "ahead");
  EXPECT_LE(epochs[1].since_unix_s, 1700000000);
  EXPECT_GT(epochs[1].until_unix_s, 1700000000);
  for (const KeyEpoch& epoch :
       epochs) { // the first second of an epoch lies in it, the one before does not
    EXPECT_EQ(trap_epoch(static_cast<std::uint64_t>(epoch.since_unix_s) * 1000000000), epoch.epoch);
    EXPECT_EQ(trap_epoch(static_cast<std::uint64_t>(epoch.since_unix_s - 1) * 1000000000),
              epoch.epoch - 1);
    EXPECT_EQ(trap_epoch(static_cast<std::uint64_t>(epoch.until_unix_s) * 1000000000),
              epoch.epoch + 1);
  }
}

} // namespace
} // namespace trap::ctl
