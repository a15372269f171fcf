// SPDX-License-Identifier: Apache-2.0
// Tests share one loaded object: whatever a test leaves in its maps, the next one finds them as
// new.
#include <gtest/gtest.h>

#include "tests/bpf/harness/rig.h"

namespace trap::test {
namespace {

// Settings hold the clock, which goes on.
std::map<std::string, Bytes> contents(Object& object) {
  std::map<std::string, Bytes> all;
  for (const std::string& name : object.map_names()) {
    if (name != "settings")
      all[name] = object.dump(name);
  }
  return all;
}

TEST(FreshObject, is_as_new_after_every_map_was_written) {
  const TestConstants constants;
  Object& object = fresh_object(part_under_test(), constants);
  const auto before = contents(object);
  const auto settings = object.raw_entries("settings");
  for (const std::string& name : object.map_names()) {
    const bpf_map* map = bpf_object__find_map_by_name(object.object(), name.c_str());
    const bpf_map_type type = object.map_type(name);
    if (type == BPF_MAP_TYPE_RINGBUF || type == BPF_MAP_TYPE_ARRAY_OF_MAPS)
      continue;
    const bool is_array = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
    Bytes key(bpf_map__key_size(map), is_array ? 0 : 1);
    if (type == BPF_MAP_TYPE_LPM_TRIE)
      std::fill(key.begin() + 1, key.begin() + 4, 0);      // a prefix of one bit
    const Bytes dirt(bpf_map__value_size(map) * 16, 0x5a); // more than any count of CPUs takes here
    const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
    ASSERT_LE(cpus, 16U);
    ASSERT_EQ(bpf_map_update_elem(object.map_fd(name), key.data(), dirt.data(), BPF_ANY), 0)
        << name;
    if (name != "settings")
      ASSERT_NE(object.dump(name), before.at(name)) << name << " is not dirty";
  }
  ASSERT_EQ(&fresh_object(part_under_test(), constants), &object);
  for (const auto& [name, bytes] : contents(object))
    EXPECT_TRUE(bytes == before.at(name)) << "map " << name;
  EXPECT_EQ(object.raw_entries("settings").size(), settings.size());
  EXPECT_NE(object.raw_entries("settings").begin()->second.back(), 0x5a);
}

} // namespace
} // namespace trap::test
