// SPDX-License-Identifier: Apache-2.0
// Key files and the key schedule as the daemons use them, against the vectors.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "runtime/keys/clock_writer.h"
#include "runtime/keys/key_file.h"
#include "tests/support/vectors.h"

namespace trap::test {
namespace {

using testing::HasSubstr;

Secret read_secret(const Json& hex) {
  Secret secret;
  const Bytes bytes = read_hex(hex.get<std::string>());
  EXPECT_EQ(bytes.size(), secret.bytes.size());
  std::copy_n(bytes.begin(), secret.bytes.size(), secret.bytes.begin());
  return secret;
}

std::string hex_of(const trap_key& key) {
  return to_hex(&key, sizeof key);
}

TEST(KeyDerivation, is_what_the_document_says) {
  for (const Json& v : read_json("keys.json")) {
    const Secret master = read_secret(v["master"]);
    EXPECT_EQ(hex_of(derive_selector_key(master)), hex_of(read_key(v["selector_key"])));
    for (const Json& key : v["cookie_keys"])
      EXPECT_EQ(hex_of(derive_cookie_key(master, key["epoch"])), hex_of(read_key(key["key"])));
    for (const Json& guard : v["guards"]) {
      const Secret secret = derive_guard_secret(master, guard["name"]);
      EXPECT_EQ(to_hex(secret.bytes.data(), secret.bytes.size()),
                guard["secret"].get<std::string>());
      for (const Json& key : guard["ticket_keys"])
        EXPECT_EQ(hex_of(derive_ticket_key(secret, key["epoch"])), hex_of(read_key(key["key"])));
      for (const Json& key : guard["announce_keys"])
        EXPECT_EQ(hex_of(derive_announce_key(secret, key["epoch"])), hex_of(read_key(key["key"])));
    }
  }
}

TEST(KeyDerivation, guard_names_are_1_to_63_of_few_characters) {
  const std::string longest(63, 'g');
  for (const std::string& good : std::vector<std::string>{"web-1", "a", "0.example", longest})
    EXPECT_TRUE(is_guard_name(good)) << good;
  for (const std::string& bad : std::vector<std::string>{"", "Web", "web_1", "web 1", "w\xc3\xa9",
                                                         longest + "g", "a/b", "a\n"})
    EXPECT_FALSE(is_guard_name(bad)) << bad;
}

class KeyFile : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/trap-key-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& text, mode_t mode = 0600) {
    std::string path = folder_ + "/key";
    std::ofstream(path) << text;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  // One line, which names the file, and the exit code of a configuration error.
  static void expect_refused(const Error& error, const std::string& path,
                             const std::string& because) {
    EXPECT_EQ(error.exit_code, ExitCode::usage);
    EXPECT_THAT(error.message, HasSubstr(path));
    EXPECT_THAT(error.message, HasSubstr(because));
    EXPECT_EQ(error.message.find('\n'), std::string::npos);
  }

  std::string folder_;
};

TEST_F(KeyFile, what_is_written_is_read) {
  auto master = generate_master_key();
  ASSERT_TRUE(master);
  auto read = read_master_key(write(format_master_key(*master)));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->bytes, master->bytes);
  auto guard =
      read_guard_key(write(format_guard_key({"web-1", derive_guard_secret(*master, "web-1")})));
  ASSERT_TRUE(guard) << guard.error().message;
  EXPECT_EQ(guard->name, "web-1");
  EXPECT_EQ(guard->secret.bytes, derive_guard_secret(*master, "web-1").bytes);
}

TEST_F(KeyFile, a_key_of_the_other_kind_is_refused) {
  auto master = generate_master_key();
  ASSERT_TRUE(master);
  const std::string path = write(format_master_key(*master));
  expect_refused(read_guard_key(path).error(), path, "master key");
  write(format_guard_key({"web-1", *master}));
  expect_refused(read_master_key(path).error(), path, "guard");
}

TEST_F(KeyFile, one_that_others_can_use_is_refused) {
  auto master = generate_master_key();
  ASSERT_TRUE(master);
  for (const mode_t mode : {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666})
    expect_refused(read_master_key(write(format_master_key(*master), mode)).error(),
                   folder_ + "/key", "chmod 600");
  EXPECT_TRUE(read_master_key(write(format_master_key(*master), 0400)));
}

TEST_F(KeyFile, damaged_ones_are_refused) {
  for (const std::string text :
       {"", "\n", "trap-master-1", "trap-master-1 AAAA", "trap-master-1 !!!!", "trap-master-2 AAAA",
        "hello constants", "trap-master-1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=extra",
        "trap-master-1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= more"}) {
    const auto key = read_master_key(write(text));
    ASSERT_FALSE(key) << text;
    expect_refused(key.error(), folder_ + "/key", "");
  }
  expect_refused(read_master_key(folder_ + "/none").error(), folder_ + "/none", "No such file");
  expect_refused(read_master_key(folder_).error(), folder_, "");
}

TEST(ClockWriter, the_ring_holds_the_previous_the_present_and_six_epochs_more) {
  trap_keyring ring = {};
  const auto derive = [](std::uint64_t epoch) { return trap_key_make(epoch, epoch + 1); };
  for (const std::uint64_t now : {409272ULL, 409273ULL, 409274ULL, 409290ULL}) {
    rotate_keyring(ring, now, derive);
    const std::vector<std::uint64_t> held = epochs_held(ring);
    ASSERT_EQ(held.size(), static_cast<std::size_t>(TRAP_KEYRING_SLOTS));
    EXPECT_EQ(held.front(), now - 1);
    EXPECT_EQ(held.back(), now + 6);
    for (const std::uint64_t epoch : held) {
      trap_key key = {};
      ASSERT_TRUE(trap_keyring_find(&ring, epoch, &key));
      const trap_key expected = derive(epoch);
      EXPECT_TRUE(trap_key_equal(&key, &expected));
    }
  }
}

TEST(ClockWriter, publishing_goes_on_without_a_jump) {
  trap_clock clock = {};
  for (std::uint64_t i = 1; i < 10; i++) {
    publish_clock(clock, {.monotonic_ns = i * 1'000'000'000,
                          .unix_ns = (100 + i) * 1'000'000'000,
                          .unix_s = 100 + i});
    EXPECT_EQ(trap_time_at(&clock, i * 1'000'000'000).unix_s, 100 + i);
  }
}

TEST(ClockWriter, seconds_are_those_of_the_clock_wherever_in_a_second_it_was_read) {
  constexpr std::uint64_t second_ns = 1'000'000'000;
  for (const std::uint64_t into_ns : {0ULL, 1ULL, 400'000'000ULL, 999'999'999ULL}) {
    trap_clock clock = {};
    publish_clock(
        clock,
        {.monotonic_ns = 7 * second_ns + 5, .unix_ns = 100 * second_ns + into_ns, .unix_s = 100});
    for (const std::uint64_t later_ns : {0ULL, 300'000'000ULL, 650'000'000ULL, 900'000'000ULL}) {
      const trap_time time = trap_time_at(&clock, 7 * second_ns + 5 + later_ns);
      EXPECT_EQ(time.unix_ns, 100 * second_ns + into_ns + later_ns);
      if ((into_ns + later_ns) % second_ns > 2'000'000) // trap_ns_to_s may be a millisecond late
        EXPECT_EQ(time.unix_s, time.unix_ns / second_ns) << into_ns << " + " << later_ns;
    }
  }
}

TEST(ClockWriter, reads_both_clocks_at_one_moment) {
  const trap_clock_anchor anchor = read_clocks();
  EXPECT_EQ(anchor.unix_s, anchor.unix_ns / 1'000'000'000);
  EXPECT_NEAR(static_cast<double>(anchor.unix_s), static_cast<double>(time(nullptr)), 2);
}

} // namespace
} // namespace trap::test
