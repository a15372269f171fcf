// SPDX-License-Identifier: Apache-2.0
// A part while it runs: what status and metrics say before the start, of problems, and after
// reloads that fail and succeed.
#include "runtime/process/running_part.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace trap::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class FakePart final : public Part {
public:
  FakePart() { config_.part = "server"; }
  const PartConfig& config() const override { return config_; }
  ConfigNode shown_config() const override {
    return {0, ConfigNode::Table{{"renew", {0, true}},
                                 {"ports", {0, ConfigNode::Array{{0, std::int64_t{22}}}}}}};
  }
  Result<void> start(Undo&) override { return start_result; }
  Result<void> detach() override { return {}; }
  void tick() override { ticks++; }
  Result<std::string> reload() override { return reload_result; }
  void measure(Metrics& metrics) override { metrics.gauge("trap_fake", "Fake", {}, 5); }
  int event_fd() const override { return 17; }
  void handle_events() override { events++; }
  Result<std::string> explain(const ExplainRequest&) override { return Error{"no program"}; }
  void describe(nlohmann::ordered_json& status) override {
    descriptions++;
    status["fake"] = true;
  }
  std::vector<std::string> problems() override {
    return problem.empty() ? std::vector<std::string>() : std::vector{problem};
  }

  Result<void> start_result;
  Result<std::string> reload_result = std::string("2 services");
  std::string problem;
  int ticks = 0;
  int events = 0;
  int descriptions = 0;

private:
  PartConfig config_;
};

class Running : public testing::Test {
protected:
  json status() { return json::parse(running_.status()); }

  FakePart part_;
  RunningPart running_{part_};
};

TEST_F(Running, tells_nothing_of_a_part_that_is_not_started) {
  EXPECT_EQ(status()["state"], "starting");
  EXPECT_FALSE(status().contains("fake"));
  EXPECT_THAT(running_.metrics(), HasSubstr("trap_ready{part=\"server\"} 0\n"));
  EXPECT_THAT(running_.metrics(), Not(HasSubstr("trap_fake")));
  EXPECT_FALSE(running_.reload());
  EXPECT_FALSE(running_.command({"backends"}));
  part_.start_result = Error{"no interface"};
  EXPECT_FALSE(running_.start());
  EXPECT_EQ(status()["state"], "starting");
}

TEST_F(Running, tells_of_a_part_and_its_problems) {
  ASSERT_TRUE(running_.start());
  EXPECT_EQ(status()["state"], "ok");
  EXPECT_EQ(status()["fake"], true);
  EXPECT_THAT(running_.metrics(), HasSubstr("trap_fake 5\n"));
  EXPECT_THAT(running_.metrics(), HasSubstr("trap_problems{part=\"server\"} 0\n"));
  part_.problem = "interface eth0 is gone";
  EXPECT_EQ(status()["state"], "degraded");
  EXPECT_EQ(status()["problems"], json({"interface eth0 is gone"}));
  EXPECT_THAT(running_.metrics(), HasSubstr("trap_problems{part=\"server\"} 1\n"));
}

TEST_F(Running, a_scrape_counts_problems_without_the_whole_status) {
  ASSERT_TRUE(running_.start());
  part_.problem = "interface eth0 is gone";
  EXPECT_THAT(running_.metrics(), HasSubstr("trap_problems{part=\"server\"} 1\n"));
  EXPECT_EQ(part_.descriptions, 0);
}

TEST_F(Running, a_failed_reload_is_a_problem_until_a_good_one) {
  ASSERT_TRUE(running_.start());
  part_.reload_result = Error{"server.toml:3: wrong", ExitCode::usage};
  auto failed = running_.reload();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().exit_code, ExitCode::usage);
  EXPECT_EQ(status()["state"], "degraded");
  EXPECT_THAT(status()["problems"][0].get<std::string>(), HasSubstr("server.toml:3: wrong"));
  EXPECT_THAT(running_.metrics(), HasSubstr("trap_last_reload_applied{part=\"server\"} 0\n"));
  part_.reload_result = std::string("1 service");
  auto applied = running_.reload();
  ASSERT_TRUE(applied);
  EXPECT_EQ(*applied, "1 service");
  EXPECT_EQ(status()["state"], "ok");
  EXPECT_THAT(running_.metrics(),
              HasSubstr("trap_reloads_total{part=\"server\",result=\"failed\"} 1\n"));
  EXPECT_THAT(running_.metrics(),
              HasSubstr("trap_reloads_total{part=\"server\",result=\"applied\"} 1\n"));
  EXPECT_THAT(running_.metrics(), HasSubstr("trap_last_reload_applied{part=\"server\"} 1\n"));
}

TEST_F(Running, a_command_that_a_part_has_not_is_named) {
  ASSERT_TRUE(running_.start());
  auto unknown = running_.command({"backends", "web", "drain"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().exit_code, ExitCode::usage);
  EXPECT_THAT(unknown.error().message, HasSubstr("trap-server"));
  EXPECT_THAT(unknown.error().message, HasSubstr("backends web drain"));
}

TEST_F(Running, a_turn_does_what_is_due) {
  ASSERT_TRUE(running_.start());
  EXPECT_EQ(running_.event_fd(), 17);
  running_.turn(true, false);
  running_.turn(false, true);
  running_.turn(true, true);
  EXPECT_EQ(part_.events, 2);
  EXPECT_EQ(part_.ticks, 2);
}

} // namespace
} // namespace trap::test
