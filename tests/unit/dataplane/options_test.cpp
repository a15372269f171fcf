// SPDX-License-Identifier: Apache-2.0
// The option walk against the walked vectors: with the header at the very end of the packet, and
// with payload behind it.
#include "dataplane/options.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

// The walk over a TCP header with this option area, in memory that ends exactly where the packet
// does.
trap_option walk(const Bytes& area, std::size_t payload_bytes, trap_family family,
                 trap_option_area* copied = nullptr) {
  trap_option_area scratch;
  const std::size_t header_bytes = 20 + area.size();
  const auto segment = std::make_unique<std::uint8_t[]>(header_bytes + payload_bytes);
  std::copy(area.begin(), area.end(), segment.get() + 20);
  return trap_find_option(copied != nullptr ? copied : &scratch, segment.get(),
                          segment.get() + header_bytes + payload_bytes,
                          static_cast<__u32>(header_bytes), family);
}

std::vector<trap_family> families_of(const std::string& name) {
  if (name.find("-v4") != std::string::npos)
    return {TRAP_IPV4};
  if (name.find("-v6") != std::string::npos)
    return {TRAP_IPV6};
  return {TRAP_IPV4, TRAP_IPV6};
}

void expect_walked(const Json& v, const trap_option& option) {
  const std::string result = v["result"];
  if (result == "none" || result == "one") {
    EXPECT_EQ(option.defect, TRAP_OPTIONS_SOUND) << v;
    EXPECT_EQ(option.type, v["type"]) << v;
  } else {
    EXPECT_EQ(option.type, TRAP_OPTION_NONE) << v;
  }
  if (result == "one")
    EXPECT_EQ(option.body_offset, v["offset"].get<int>() + (option.experimental ? 5 : 3)) << v;
  if (result == "malformed")
    EXPECT_EQ(option.defect, TRAP_OPTIONS_MALFORMED) << v;
  if (result == "duplicate")
    EXPECT_EQ(option.defect, TRAP_OPTIONS_DUPLICATE) << v;
  if (result == "refused") {
    EXPECT_TRUE(option.defect == TRAP_OPTIONS_DUPLICATE || option.defect == TRAP_OPTIONS_MALFORMED)
        << v;
  }
}

TEST(OptionWalk, reads_what_the_document_says) {
  const Json vectors = read_json("options.json");
  for (const Json& v : vectors["walked"]) {
    const Bytes area = read_hex(v["area"].get<std::string>());
    for (const trap_family family : families_of(v["name"])) {
      for (const std::size_t payload_bytes : {0, 1, 64})
        expect_walked(v, walk(area, payload_bytes, family));
    }
  }
}

TEST(OptionWalk, tells_the_encoding_and_where_the_body_is) {
  const Json vectors = read_json("options.json");
  for (const Json& v : vectors["encoded"]) {
    Bytes area = read_hex(v["bytes"].get<std::string>());
    area.resize((area.size() + 3) / 4 * 4);
    trap_option_area copied;
    const trap_option option = walk(area, 16, families_of(v["name"])[0], &copied);
    EXPECT_EQ(option.type, v["type"]) << v;
    EXPECT_EQ(option.experimental != 0, v["experimental"]) << v;
    EXPECT_EQ(option.body_offset, v["experimental"].get<bool>() ? 5 : 3) << v;
    EXPECT_EQ(to_hex(copied.bytes, area.size()), to_hex(area)) << v;
  }
}

TEST(OptionWalk, reads_nothing_beyond_the_end_whatever_the_bytes) {
  std::uint32_t state = 7;
  for (int i = 0; i < 200000; i++) {
    Bytes area(std::size_t{4} * (state % 11));
    for (auto& byte : area) {
      state = state * 1664525 + 1013904223;
      static constexpr std::uint8_t likely[] = {
          0, 1, 2, 3, 4, 6, 16, 18, 24, 26, 36, 38, 0x56, 253, 0x54, 0x52, 0x11, 0x13, 0x14, 0x15};
      byte = (state >> 8) % 4 == 0 ? static_cast<std::uint8_t>(state >> 16)
                                   : likely[(state >> 16) % sizeof likely];
    }
    state = state * 1664525 + 1013904223;
    const trap_option option = walk(area, 0, state % 2 == 0 ? TRAP_IPV4 : TRAP_IPV6);
    ASSERT_TRUE(option.defect == TRAP_OPTIONS_SOUND || option.type == TRAP_OPTION_NONE);
  }
}

} // namespace
} // namespace trap::test
