// SPDX-License-Identifier: Apache-2.0
// Reading a SYN's options: the layouts of real stacks, damaged ones, and the short cut for Linux
// against the walk.
#include "dataplane/syn_options.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

// In memory that ends where the options do.
trap_syn_options read(Bytes area) {
  area.resize((area.size() + 3) / 4 * 4);
  const std::size_t header_bytes = 20 + area.size();
  const auto segment = std::make_unique<std::uint8_t[]>(header_bytes);
  std::copy(area.begin(), area.end(), segment.get() + 20);
  trap_syn_options syn;
  trap_read_syn_options(&syn, segment.get(), segment.get() + header_bytes,
                        static_cast<__u32>(header_bytes));
  return syn;
}

// Through the walk alone, with the same limit on window scales.
trap_syn_options walk(const Bytes& area) {
  trap_option_area copied = {};
  std::copy(area.begin(), area.end(), copied.bytes);
  copied.used = static_cast<__u32>(area.size());
  trap_syn_options syn = {};
  trap_walk_syn_options(&copied, &syn);
  syn.window_scale = std::min<__u8>(syn.window_scale, 14);
  return syn;
}

// "mss=1460 ws=7 sack ts=000010e1", what is not there left out.
std::string describe(const trap_syn_options& syn) {
  std::string text;
  if (syn.has_mss)
    text += "mss=" + std::to_string(syn.mss) + " ";
  if (syn.has_window_scale)
    text += "ws=" + std::to_string(syn.window_scale) + " ";
  if (syn.sack)
    text += "sack ";
  if (syn.has_timestamps)
    text += "ts=" + to_hex(&syn.timestamp, 4) + " ";
  return text;
}

std::string described(const char* hex) {
  return describe(read(read_hex(hex)));
}

TEST(SynOptions, of_real_stacks_are_understood) {
  // Linux; FreeBSD and macOS; Windows, which has no timestamps; OpenBSD; lwIP with nothing but an
  // MSS.
  EXPECT_EQ(described("020405b4 0402080a 000010e1 00000000 01030307"),
            "mss=1460 ws=7 sack ts=000010e1 ");
  EXPECT_EQ(described("020405b4 01030306 0402080a 000010e1 00000000"),
            "mss=1460 ws=6 sack ts=000010e1 ");
  EXPECT_EQ(described("020405b4 01030306 0101080a 000010e1 00000000 04020000"),
            "mss=1460 ws=6 sack ts=000010e1 ");
  EXPECT_EQ(described("020405b4 01030308 01010402"), "mss=1460 ws=8 sack ");
  EXPECT_EQ(described("020405b4 01010402 01030306 0101080a 000010e1 00000000"),
            "mss=1460 ws=6 sack ts=000010e1 ");
  EXPECT_EQ(described("02040218"), "mss=536 ");
  EXPECT_EQ(described(""), "");
}

TEST(SynOptions, behind_the_end_of_the_list_or_a_malformed_one_are_not_read) {
  EXPECT_EQ(described("020405b4 00030307"), "mss=1460 ");
  EXPECT_EQ(described("020405b4 02040000"), "mss=1460 ") << "0 says nothing";
  EXPECT_EQ(described("020405b4 03000402"), "mss=1460 ") << "length 0";
  EXPECT_EQ(described("020405b4 03010402"), "mss=1460 ") << "length 1";
  EXPECT_EQ(described("020405b4 04020809"), "mss=1460 sack ") << "longer than the header";
  EXPECT_EQ(described("020405b4 04020808"), "mss=1460 sack ");
  EXPECT_EQ(described("01010102"), "") << "a kind at the last byte has no length";
}

TEST(SynOptions, of_another_length_than_their_kind_has_are_skipped) {
  EXPECT_EQ(described("020505b4 00010402"), "sack ") << "an MSS of 5 bytes";
  EXPECT_EQ(described("020505b4 ff040203 03070000"), "ws=7 sack ");
  EXPECT_EQ(described("03040707 0303070a"), "ws=7 ");
  EXPECT_EQ(described("04030001 0402"), "sack ");
  EXPECT_EQ(described("0806aabb ccdd080a 00112233 44556677"), "ts=00112233 ");
}

TEST(SynOptions, of_other_kinds_are_skipped) {
  EXPECT_EQ(described("22020405 b4"), "")
      << "Fast Open's cookie request, and then kind 4 of length 5";
  EXPECT_EQ(described("22020204 05b40402"), "mss=1460 sack ");
  EXPECT_EQ(described("56041100 020405b4"), "mss=1460 ");
  EXPECT_EQ(described("fd065452 1100020405b40000"), "mss=1460 ");
}

TEST(SynOptions, that_come_twice_count_as_they_came_last) {
  EXPECT_EQ(described("020405b4 02040218"), "mss=536 ");
  EXPECT_EQ(described("03030703 03090402 0402"), "ws=9 sack ");
}

TEST(SynOptions, window_scale_is_at_most_14) {
  for (int scale = 0; scale < 256; scale++) {
    Bytes linux_syn = read_hex("020405b40402080a000010e10000000001030300");
    linux_syn[19] = static_cast<std::uint8_t>(scale);
    EXPECT_EQ(read(linux_syn).window_scale, std::min(scale, 14));
    EXPECT_EQ(read({3, 3, static_cast<std::uint8_t>(scale), 1}).window_scale, std::min(scale, 14));
  }
}

TEST(SynOptions, short_cut_and_walk_agree_on_everything_like_linux) {
  std::mt19937_64 random(5);
  int taken = 0;
  for (int i = 0; i < 200'000; i++) {
    Bytes area = read_hex("020405b40402080a000010e10000000001030307");
    for (const std::size_t at : {2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 19})
      area[at] = static_cast<std::uint8_t>(random());
    if (random() % 2 == 0)
      area[random() % area.size()] = static_cast<std::uint8_t>(random() % 12);
    trap_syn_options unused = {};
    taken += trap_read_linux_options(&unused, area.data());
    ASSERT_EQ(describe(read(area)), describe(walk(area))) << to_hex(area);
  }
  EXPECT_GT(taken, 100'000);
}

TEST(SynOptions, any_bytes_are_read_within_bounds) {
  std::mt19937_64 random(6);
  static constexpr std::uint8_t likely[] = {0, 1, 2, 3, 4, 8, 10, 40, 255};
  for (int i = 0; i < 200'000; i++) {
    Bytes area(4 * (random() % 11));
    for (auto& byte : area)
      byte = random() % 4 == 0 ? static_cast<std::uint8_t>(random())
                               : likely[random() % sizeof likely];
    ASSERT_EQ(describe(read(area)), describe(walk(area))) << to_hex(area);
  }
}

} // namespace
} // namespace trap::test
