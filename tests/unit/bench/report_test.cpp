// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the benchmarks, and what a report says of them.
#include "bench/report/report.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace trap::bench {
namespace {

using test::Json;

TEST(Spread, is_the_middle_value_and_the_ends) {
  const Spread odd = spread_of({5, 1, 3});
  EXPECT_EQ(odd.median, 3);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 5);
  EXPECT_EQ(spread_of({7}).median, 7);
  EXPECT_EQ(spread_of({1, 1, 1, 1000, 1000}).median, 1) << "an outlier moves a mean, not this";
}

TEST(Percentile, is_the_smallest_value_that_so_many_do_not_exceed) {
  std::vector<double> values;
  for (int value = 100; value >= 1; value--)
    values.push_back(value);
  EXPECT_EQ(percentile(values, 50), 50);
  EXPECT_EQ(percentile(values, 90), 90);
  EXPECT_EQ(percentile(values, 99), 99);
  EXPECT_EQ(percentile(values, 100), 100);
  EXPECT_EQ(percentile({1, 2, 3}, 50), 2);
  EXPECT_EQ(percentile({1, 2, 3}, 99), 3);
  EXPECT_EQ(percentile({1, 2, 3}, 0), 1);
  EXPECT_EQ(percentile({4}, 1), 4);
}

TEST(Target, is_met_at_its_limit_and_on_the_right_side_of_it) {
  const auto met = [](double value, Bound bound) {
    return Target{"", value, bound, 10, "x"}.met();
  };
  EXPECT_TRUE(met(10, Bound::at_least));
  EXPECT_TRUE(met(10.1, Bound::at_least));
  EXPECT_FALSE(met(9.999, Bound::at_least));
  EXPECT_TRUE(met(10, Bound::at_most));
  EXPECT_TRUE(met(9.9, Bound::at_most));
  EXPECT_FALSE(met(10.001, Bound::at_most));
}

TEST(Report, writes_figures_misses_and_refusals) {
  Report report(true);
  EXPECT_TRUE(report.empty());
  report.add(Line{"path", "trap", 6, "time_per_packet", "ns", 123.456, 100, 1234567, 5, "send-back",
                  4.00049});
  report.add(Target{"path: over XDP_TX", 4.0005, Bound::at_most, 4, "x"});
  EXPECT_FALSE(report.empty());
  EXPECT_FALSE(report.refused());
  report.refuse("other path", "its checksums were wrong");
  EXPECT_TRUE(report.refused());
  Report quick(true), whole(false);
  for (Report* each : {&quick, &whole})
    each->doubt("a path", "the machine was busy");
  EXPECT_FALSE(quick.refused());
  EXPECT_TRUE(whole.refused());
  ASSERT_NE(report.find("path", "trap", 6), nullptr);
  EXPECT_EQ(report.find("path", "trap", 4), nullptr);

  const std::string path = testing::TempDir() + "trap-report-test/report.json";
  ASSERT_TRUE(report.write(path));
  const Json json = Json::parse(std::ifstream{path});
  std::filesystem::remove_all(testing::TempDir() + "trap-report-test");
  EXPECT_EQ(json["quick"], true);
  const Json& line = json["results"][0];
  EXPECT_EQ(line["family"], "ipv6");
  EXPECT_EQ(line["value"], 123.5) << "four digits";
  EXPECT_EQ(line["max"], 1235000);
  EXPECT_EQ(line["ratio_to_floor"], 4.0);
  EXPECT_EQ(json["targets"][0]["met"], false) << "judged before rounding";
  EXPECT_EQ(json["refused"][0]["why"], "its checksums were wrong");
  EXPECT_TRUE(json["skipped"].empty());
}

TEST(Report, says_when_it_cannot_be_written) {
  EXPECT_FALSE(Report(false).write("/proc/trap/report.json"));
}

} // namespace
} // namespace trap::bench
