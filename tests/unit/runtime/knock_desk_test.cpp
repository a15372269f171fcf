// SPDX-License-Identifier: Apache-2.0
// Knocks that a daemon performs for others: how many, how often, and what becomes of their results.
#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "runtime/knock/knock_desk.h"

namespace trap::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using Clock = KnockDesk::Clock;

class Desk : public testing::Test {
protected:
  ~Desk() override { lets_go_ = true; }

  Result<std::string> begin(const std::string& timeout_ms = "1000") {
    return desk_.command({"knock", "203.0.113.10:80", timeout_ms}, now_);
  }
  // The result, once there is one.
  Result<std::string> result_of(const Result<std::string>& begun) {
    const std::string number = json::parse(*begun)["knock"].dump();
    for (;;) {
      auto told = desk_.command({"knock", "result", number}, now_);
      if (!told || json::parse(*told)["done"] == true)
        return told;
      std::this_thread::sleep_for(1ms);
    }
  }

  std::atomic<bool> lets_go_ = true, fails_ = false;
  Clock::time_point now_ = Clock::now();
  KnockDesk desk_{
      [this](const KnockOrder& order,
             const std::function<bool()>& is_to_stop) -> Result<nlohmann::ordered_json> {
        while (!lets_go_ && !is_to_stop())
          std::this_thread::sleep_for(1ms);
        if (fails_)
          return Error{"no route"};
        return nlohmann::ordered_json{{"service", format_endpoint(order.service)},
                                      {"ms", order.timeout.count()}};
      }};
};

TEST_F(Desk, tells_the_result_once) {
  const auto begun = begin("250");
  ASSERT_TRUE(begun) << begun.error().message;
  const json told = json::parse(*result_of(begun));
  EXPECT_EQ(told["knock"]["service"], "203.0.113.10:80");
  EXPECT_EQ(told["knock"]["ms"], 250);
  EXPECT_THAT(result_of(begun).error().message, HasSubstr("no knock 1"));
}

TEST_F(Desk, a_knock_that_fails_is_an_error) {
  fails_ = true;
  EXPECT_EQ(result_of(begin()).error().message, "no route");
}

TEST_F(Desk, refuses_more_at_once_than_it_may) {
  lets_go_ = false;
  for (unsigned i = 0; i < KnockDesk::most_at_once; i++)
    ASSERT_TRUE(begin());
  EXPECT_THAT(begin().error().message, HasSubstr("already knocks 4 times"));
}

TEST_F(Desk, the_rate_is_bounded) {
  for (unsigned i = 0; i < KnockDesk::burst; i++)
    ASSERT_TRUE(result_of(begin())) << i;
  EXPECT_THAT(begin().error().message, HasSubstr("once in 6 s"));
  now_ += KnockDesk::one_every;
  ASSERT_TRUE(result_of(begin()));
  EXPECT_FALSE(begin());
}

TEST_F(Desk, refuses_words_that_are_none) {
  for (const char* timeout : {"", "49", "5001", "1e3", "-1", "99999999999999999999"})
    EXPECT_FALSE(begin(timeout)) << timeout;
  for (const std::vector<std::string>& words : {std::vector<std::string>{"knock"},
                                                {"knock", "203.0.113.10"},
                                                {"knock", "result", "x"},
                                                {"knock", "a", "b", "c"}})
    EXPECT_FALSE(desk_.command(words, now_));
}

TEST_F(Desk, results_that_nothing_asks_for_are_forgotten) {
  const auto begun = begin();
  std::this_thread::sleep_for(20ms);
  now_ += 31s;
  EXPECT_THAT(result_of(begun).error().message, HasSubstr("no knock"));
}

} // namespace
} // namespace trap::test
