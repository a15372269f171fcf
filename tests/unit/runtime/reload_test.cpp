// SPDX-License-Identifier: Apache-2.0
// The order of a reload's steps, and where each failure stops it.
#include "runtime/process/reload.h"

#include <fmt/core.h>
#include <gmock/gmock.h>

#include <vector>

#include "runtime/config/part_config.h"

namespace trap::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct FakeConfig {
  PartConfig part = make_part_config("guard");
  std::uint32_t number = 0;
  std::uint32_t size = 0;
};

const Keys<FakeConfig>& fake_keys() {
  static const Keys<FakeConfig> keys = {
      integer("number", &FakeConfig::number, {0, 9}, by_reload, "a number"),
      integer("size", &FakeConfig::size, {0, 9}, by_detach, "a size")};
  return keys;
}

struct Active {
  FakeConfig config;
};

Active numbered(std::uint32_t number) {
  Active active;
  active.config.number = number;
  return active;
}

class FakeSteps final : public ReloadSteps<Active> {
public:
  const Keys<FakeConfig>& keys() const override { return fake_keys(); }
  Result<std::unique_ptr<Active>> read(const Active&) override {
    done.emplace_back("read");
    if (failing == "read")
      return Error{"read"};
    return std::make_unique<Active>(Active{wanted});
  }
  Result<void> plan(const Active&, Active&) override { return step("plan"); }
  Result<void> apply(const Active&, const Active&) override { return step("apply"); }
  void settle(const Active& before, const Active& now, Changes& changes) override {
    done.push_back(fmt::format("settle {} to {}", before.config.number, now.config.number));
    changes.applied.push_back({"key_file", "new key"});
  }

  FakeConfig wanted = numbered(2).config;
  std::string failing;
  std::vector<std::string> done;

private:
  Result<void> step(const std::string& name) {
    done.push_back(name);
    return failing == name ? Result<void>(Error{name}) : Result<void>{};
  }
};

class Reloading : public testing::Test {
protected:
  void fails_in(const std::string& step) {
    steps_.failing = step;
    const auto failed = reload(active_, steps_);
    ASSERT_FALSE(failed) << step;
    EXPECT_EQ(failed.error().message, step);
    EXPECT_EQ(active_->config.number, 1U) << step;
  }

  std::unique_ptr<Active> active_ = std::make_unique<Active>(numbered(1));
  FakeSteps steps_;
};

TEST_F(Reloading, reads_plans_applies_and_describes) {
  const auto line = reload(active_, steps_);
  ASSERT_TRUE(line);
  EXPECT_THAT(*line, AllOf(HasSubstr("number"), HasSubstr("new key")));
  EXPECT_EQ(active_->config.number, 2U);
  EXPECT_THAT(steps_.done, ElementsAre("read", "plan", "apply", "settle 1 to 2"));
}

TEST_F(Reloading, keeps_the_configuration_in_force_when_a_step_fails) {
  for (const char* step : {"read", "plan", "apply"})
    fails_in(step);
}

TEST_F(Reloading, refuses_before_anything_is_planned) {
  steps_.wanted.size = 5;
  const auto refused = reload(active_, steps_);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("size"));
  EXPECT_EQ(active_->config.number, 1U);
  EXPECT_THAT(steps_.done, ElementsAre("read"));
}

} // namespace
} // namespace trap::test
