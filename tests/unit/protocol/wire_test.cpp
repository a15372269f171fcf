// SPDX-License-Identifier: Apache-2.0
// The option header and the body sizes of docs/protocol.md 3.
#include "protocol/wire.h"

#include <gtest/gtest.h>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

TEST(Wire, headers_and_lengths_are_those_of_the_encoded_options) {
  const Json vectors = read_json("options.json");
  for (const Json& v : vectors["encoded"]) {
    const Bytes expected = read_hex(v["bytes"].get<std::string>());
    const __u32 address_bytes = v["name"].get<std::string>().ends_with("-v6") ? 16 : 4;
    const __u32 body_bytes = trap_body_bytes(v["type"], address_bytes);
    std::uint8_t header[8] = {};
    const __u32 header_bytes =
        trap_put_header(header, v["type"], body_bytes, v["experimental"].get<bool>());
    EXPECT_EQ(header_bytes + body_bytes, expected.size()) << v;
    EXPECT_EQ(to_hex(header, header_bytes), to_hex(expected.data(), header_bytes)) << v;
  }
}

TEST(Wire, unknown_types_have_no_body) {
  EXPECT_EQ(trap_body_bytes(0, 4), 0u);
  for (__u32 type = 7; type < 20; type++)
    EXPECT_EQ(trap_body_bytes(type, 16), 0u) << type;
}

TEST(Wire, every_option_fits_into_a_tcp_header) {
  for (__u32 type = TRAP_OFFER; type <= TRAP_CONSENT; type++)
    EXPECT_LE(trap_body_bytes(type, 16) + TRAP_HEADER_BYTES_EXPERIMENTAL,
              static_cast<__u32>(TRAP_TCP_OPTIONS_MAX))
        << type;
}

TEST(Wire, the_last_option_is_a_ticket_in_whole_words) {
  constexpr __u32 linux_syn = TRAP_TCP_HEADER_BYTES + 20;
  for (const int experimental : {0, 1}) {
    const __u32 header = linux_syn + trap_ticket_block_bytes(experimental);
    EXPECT_EQ(header % 4, 0u);
    EXPECT_EQ(trap_ticket_option_bytes(experimental), experimental ? 18u : 16u);
    EXPECT_EQ(trap_last_ticket_offset(header, experimental), experimental ? 42u : 40u);
    EXPECT_LE(header, static_cast<__u32>(TRAP_TCP_HEADER_BYTES + TRAP_TCP_OPTIONS_MAX));
  }
}

} // namespace
} // namespace trap::test
