// SPDX-License-Identifier: Apache-2.0
// The blocks of a pcapng file, byte by byte as the format has them, on a little-endian host.
#include <gmock/gmock.h>

#include "ctl/capture/pcapng.h"

namespace trap::ctl {
namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (const unsigned char byte : bytes)
    text += fmt::format("{:02x}", byte);
  return text;
}

TEST(Pcapng, a_section_names_the_program) {
  EXPECT_EQ(hex(pcapng_section("abcde")), "0a0d0d0a"
                                          "2c000000"
                                          "4d3c2b1a"
                                          "0100"
                                          "0000"
                                          "ffffffffffffffff"
                                          "0400"
                                          "0500"
                                          "6162636465"
                                          "000000"
                                          "0000"
                                          "0000"
                                          "2c000000");
}

TEST(Pcapng, an_interface_has_its_name_and_nanoseconds) {
  EXPECT_EQ(hex(pcapng_interface("eth0", LinkType::ethernet, 256)), "01000000"
                                                                    "28000000"
                                                                    "0100"
                                                                    "0000"
                                                                    "00010000"
                                                                    "0200"
                                                                    "0400"
                                                                    "65746830"
                                                                    "0900"
                                                                    "0100"
                                                                    "09000000"
                                                                    "0000"
                                                                    "0000"
                                                                    "28000000");
}

TEST(Pcapng, a_packet_has_time_lengths_comment_and_direction) {
  const std::uint8_t bytes[] = {1, 2, 3, 4, 5};
  const std::string block = pcapng_packet({.interface = 2,
                                           .at_ns = 0x0000000100000003,
                                           .length = 1500,
                                           .leaves = true,
                                           .bytes = bytes,
                                           .comment = "drop"});
  EXPECT_EQ(hex(block), "06000000"
                        "3c000000"
                        "02000000"
                        "01000000"
                        "03000000"
                        "05000000"
                        "dc050000"
                        "0102030405"
                        "000000"
                        "0100"
                        "0400"
                        "64726f70"
                        "0200"
                        "0400"
                        "02000000"
                        "0000"
                        "0000"
                        "3c000000");
}

TEST(Pcapng, no_packet_is_shorter_than_what_was_captured_of_it) {
  const std::uint8_t bytes[] = {1, 2, 3, 4};
  const std::string block = pcapng_packet(
      {.interface = 0, .at_ns = 0, .length = 2, .leaves = false, .bytes = bytes, .comment = ""});
  EXPECT_EQ(hex(block).substr(40, 16), "0400000004000000");
}

TEST(Pcapng, a_comment_that_is_too_long_is_cut) {
  const std::string block = pcapng_packet({.interface = 0,
                                           .at_ns = 0,
                                           .length = 0,
                                           .leaves = false,
                                           .bytes = {},
                                           .comment = std::string(70000, 'x')});
  EXPECT_EQ(block.size() % 4, 0U);
  EXPECT_LT(block.size(), 66000U);
}

} // namespace
} // namespace trap::ctl
