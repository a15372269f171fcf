// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/takeover/memory.h"

namespace trap {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t gib = 1ULL << 30;

class MemoryTest : public testing::Test {
protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / fmt::format("memory-test-{}", getpid());
    fs::create_directories(root_ / "groups/system.slice/trap.service");
    write("meminfo", "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n");
    write("own", "12:cpu:/x\n0::/system.slice/trap.service\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(root_ / name) << text;
  }
  void limit(const std::string& group, const std::string& most, std::uint64_t now) {
    write("groups/" + group + "/memory.max", most + "\n");
    write("groups/" + group + "/memory.current", fmt::format("{}\n", now));
  }
  std::string check(std::uint64_t bytes) {
    const auto enough = check_memory(
        bytes, "the tables",
        {(root_ / "meminfo").string(), (root_ / "own").string(), (root_ / "groups").string()});
    return enough ? "" : enough.error().message;
  }

  fs::path root_;
};

TEST_F(MemoryTest, the_host_has_it_or_not) {
  EXPECT_EQ(check(3 * gib), "");
  EXPECT_NE(check(5 * gib).find("this host has 4096 MiB"), std::string::npos);
}

TEST_F(MemoryTest, the_unit_has_it_or_not) {
  limit("system.slice/trap.service", "536870912", 12 << 20);
  EXPECT_NE(check(2 * gib).find("trap.service/memory.max leaves 500 MiB"), std::string::npos);
  EXPECT_EQ(check(400 << 20), "");
}

TEST_F(MemoryTest, groups_above_have_it_or_not) {
  limit("system.slice/trap.service", "max", 0);
  limit("system.slice", std::to_string(gib), 0);
  EXPECT_NE(check(2 * gib).find("system.slice/memory.max leaves 1024 MiB"), std::string::npos);
}

TEST_F(MemoryTest, little_needs_no_look) {
  limit("system.slice/trap.service", "1", 0);
  EXPECT_EQ(check(1 << 20), "");
}

} // namespace
} // namespace trap
