// SPDX-License-Identifier: Apache-2.0
// One test for each fixture of the part under test. Needs root; says so and fails without.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "runtime/control/metrics_common.h"
#include "runtime/verdict_text.h"
#include "tests/bpf/harness/fixture.h"
#include "tests/bpf/harness/loopback.h"

namespace trap::test {

const Rig& part_under_test() {
  return TRAP_RIG_UNDER_TEST();
}

namespace {

std::string describe(const Variables& variables) {
  std::string text;
  for (const auto& [name, value] : variables)
    text += " " + name + "=" + value.dump();
  return text;
}

class FixtureTest : public testing::Test {
public:
  FixtureTest(Fixture fixture, FixtureRunner& runner)
      : fixture_(std::move(fixture)), runner_(runner) {}

  void TestBody() override {
    int failures = 0;
    for (const Variables& variables : expand(fixture_.json.value("for_each", Json::object()))) {
      std::string wrong;
      try {
        wrong = runner_.run(fixture_, variables);
      } catch (const std::exception& error) {
        wrong = error.what();
      }
      if (wrong.empty())
        continue;
      failures++;
      ADD_FAILURE() << fixture_.goal << "\n with" << describe(variables) << "\n " << wrong;
      if (failures == 5) {
        ADD_FAILURE() << "and perhaps more: stopped after 5";
        return;
      }
    }
  }

private:
  const Fixture fixture_;
  FixtureRunner& runner_;
};

// After all tests: the verdicts that this part's programs gave are those of its column in
// dataplane/verdict.h, and were counted in slot 0 only if they need no service.
class VerdictColumn : public testing::Environment {
public:
  void TearDown() override {
    const std::string& part = part_under_test().part;
    for (const auto& [slot, verdict] : Object::ever_counted()) {
      EXPECT_TRUE(can_give(part, verdict))
          << verdict_name(verdict) << " was given, but is not in the column of " << part;
      EXPECT_TRUE(slot != 0 || trap_verdict_about(verdict) == TRAP_ABOUT_ANYTHING)
          << verdict_name(verdict) << " was counted for no service";
    }
  }
};

void register_fixtures(FixtureRunner& runner) {
  const Rig& rig = part_under_test();
  for (const Fixture& fixture : read_fixtures(std::string(TRAP_TEST_FIXTURES) + "/" + rig.part)) {
    testing::RegisterTest(
        rig.part.c_str(), fixture.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
        [&runner, fixture]() -> testing::Test* { return new FixtureTest(fixture, runner); });
  }
}

} // namespace
} // namespace trap::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (geteuid() != 0) {
    std::fprintf(stderr, "%s: loads BPF programs, which needs root; run it as root\n", argv[0]);
    return 1;
  }
  trap::test::keep_libbpf_quiet();
  trap::test::FixtureRunner runner(trap::test::part_under_test());
  try {
    trap::test::enter_own_network();
    trap::test::register_fixtures(runner);
    runner.prepare();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  testing::AddGlobalTestEnvironment(new trap::test::VerdictColumn);
  return RUN_ALL_TESTS();
}
