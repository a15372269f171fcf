// SPDX-License-Identifier: Apache-2.0
// The 64 reference vectors of SipHash-2-4, computed by the kernel.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/kernel/program.h"
#include "tests/bpf/harness/object.h"
#include "trap_siphash_check.skel.h"

namespace trap::test {
namespace {

TEST(SipHashInBpf, says_what_its_authors_print_for_lengths_0_to_63) {
  const auto skeleton = Program<trap_siphash_check>::load();
  ASSERT_TRUE(skeleton) << skeleton.error().message << ": " << last_libbpf_warning();
  const Object object((*skeleton).object(), [] {});
  const Json vectors = read_json("siphash.json");
  const trap_key key = read_key(vectors["key"]);
  std::memcpy(&(*skeleton)->bss->key, &key, sizeof key);
  auto* message = reinterpret_cast<std::uint8_t*>((*skeleton)->bss->message);
  for (std::size_t i = 0; i < sizeof(*skeleton)->bss->message; i++)
    message[i] = static_cast<std::uint8_t>(i);

  object.run("hash_all_lengths", Bytes(64));
  for (std::size_t length = 0; length < 64; length++)
    EXPECT_EQ(to_hex(&(*skeleton)->bss->hashes[length], 8),
              vectors["macs"][length].get<std::string>())
        << "length " << length;
}

} // namespace
} // namespace trap::test
