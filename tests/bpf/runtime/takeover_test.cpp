// SPDX-License-Identifier: Apache-2.0
// A later version takes over the pinned maps of an earlier one, or refuses and touches nothing.
#include <filesystem>
#include <fstream>
#include <linux/capability.h>
#include <map>
#include <memory>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "runtime/kernel/bpf_map.h"
#include "runtime/takeover/noted_types.h"
#include "runtime/takeover/takeover.h"
#include "takeover_earlier.skel.h"
#include "takeover_later.skel.h"
#include "tests/bpf/runtime/takeover_maps.h"

namespace trap {
namespace {

namespace fs = std::filesystem;

struct Destroy {
  void operator()(takeover_earlier* skeleton) const { takeover_earlier::destroy(skeleton); }
  void operator()(takeover_later* skeleton) const { takeover_later::destroy(skeleton); }
};

const TakeoverPlan plan = {{"changed", {.given_up = {"gone", "part"}}},
                           {"renamed", {.former_name = "former"}},
                           {"in_buckets",
                            {.carry = Carry::by_part,
                             .former_name = "hashed",
                             .former_entries = {{"earlier_part", "later_entry"}}}}};

// A bpffs of its own, with the pins of the earlier version.
class TakeoverTest : public testing::Test {
protected:
  void SetUp() override {
    const fs::path mounted = fs::temp_directory_path() / fmt::format("takeover-{}", getpid());
    fs::create_directories(mounted);
    ASSERT_EQ(mount("bpf", mounted.c_str(), "bpf", 0, nullptr), 0) << "needs root";
    mounted_ = mounted;
    pin_dir_ = (mounted / "pins").string();
    fs::create_directory(pin_dir_);
    earlier_.reset(takeover_earlier::open());
    ASSERT_TRUE(earlier_);
    ASSERT_EQ(takeover_earlier::load(earlier_.get()), 0);
    fill();
    for (const Pin& map : pins_of_maps(earlier_->obj, pin_dir_))
      ASSERT_EQ(bpf_obj_pin(map.fd, map.path.c_str()), 0);
  }

  void TearDown() override {
    umount2(mounted_.c_str(), MNT_DETACH);
    std::error_code failed;
    fs::remove(mounted_, failed);
  }

  void fill() {
    write<__u32, earlier_value>(earlier_->maps.changed, 7,
                                {.kept = 1ULL << 40,
                                 .moves = 2,
                                 .gone = 3,
                                 .part = {4, 5},
                                 .whole = {6, 7},
                                 .reserved = 8});
    for (__u64 key = 0; key < 500; key++)
      write<__u64, __u64>(earlier_->maps.resized, key, key * 3);
    write<__u32, __u32>(earlier_->maps.mapped, 31, 310);
    write<__u32, __u32>(earlier_->maps.mapped, 63, 630);
    std::vector<__u64> of_cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()), 9);
    const __u32 third = 3;
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(earlier_->maps.counted), &third, of_cpus.data(), 0),
              0);
    write<earlier_part, __u32>(earlier_->maps.prefixes, {8, 0x0a}, 77);
    write<__u32, __u64>(earlier_->maps.former, 1, 11);
    write<__u32, __u64>(earlier_->maps.same, 1, 12);
    for (__u32 i = 0; i < 50; i++)
      write<earlier_part, earlier_entry>(earlier_->maps.hashed, {i, 1}, {i, 2 * i});
  }

  template <class K, class V> void write(const bpf_map* map, K key, V value) {
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(map), &key, &value, 0), 0);
  }
  template <class V, class K> V read(const bpf_map* map, K key) {
    return map_read<V>(bpf_map__fd(map), key).value_or(V{});
  }

  Result<Takeover> decide(const TakeoverPlan& by) {
    later_.reset(takeover_later::open());
    return Takeover::decide(later_->obj, pin_dir_, "trap-test", by);
  }

  // Ids of the maps behind the pins.
  std::string pinned() const {
    std::string all;
    std::vector<std::string> names = list_pins(pin_dir_);
    std::ranges::sort(names);
    for (const std::string& name : names) {
      const Fd fd(bpf_obj_get(fmt::format("{}/{}", pin_dir_, name).c_str()));
      bpf_map_info info = {};
      __u32 length = sizeof info;
      bpf_obj_get_info_by_fd(fd.get(), &info, &length);
      all += fmt::format("{} {}\n", name, info.id);
    }
    return all;
  }

  void expect_refusal(const TakeoverPlan& by, const std::string& why) {
    const std::string before = pinned();
    const auto refused = decide(by);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().exit_code, ExitCode::usage) << "a unit must not try again";
    EXPECT_NE(refused.error().message.find(why), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find("nothing was changed"), std::string::npos);
    EXPECT_EQ(pinned(), before);
  }

  std::string pin_dir_;
  fs::path mounted_;
  std::unique_ptr<takeover_earlier, Destroy> earlier_;
  std::unique_ptr<takeover_later, Destroy> later_;
};

TEST_F(TakeoverTest, entries_are_carried_field_by_field) {
  auto takeover = decide(plan);
  ASSERT_TRUE(takeover) << takeover.error().message;
  ASSERT_EQ(takeover_later::load(later_.get()), 0);
  Undo undo;
  ASSERT_TRUE(takeover->carry(undo));
  const auto value = read<later_value>(later_->maps.changed, __u32{7});
  EXPECT_EQ(value.kept, 1ULL << 40);
  EXPECT_EQ(value.moves, 2u);
  EXPECT_EQ(value.fresh, 0u);
  EXPECT_EQ(value.part.first, 0u) << "half of a struct would be worse than none";
  EXPECT_EQ(value.whole.second, 7u);
  EXPECT_EQ(map_keys<__u64>(bpf_map__fd(later_->maps.resized)).size(), 500u);
  EXPECT_EQ(read<__u64>(later_->maps.resized, __u64{499}), 1497u);
  EXPECT_EQ(read<__u32>(later_->maps.mapped, __u32{31}), 310u);
  EXPECT_EQ(read<__u32>(later_->maps.prefixes, earlier_part{8, 0x0a}), 77u);
  EXPECT_EQ(read<__u64>(later_->maps.renamed, __u32{1}), 11u);
  EXPECT_EQ(read<__u64>(later_->maps.same, __u32{1}), 12u);
  std::vector<__u64> of_cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  const __u32 third = 3;
  ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(later_->maps.counted), &third, of_cpus.data()), 0);
  for (const __u64 count : of_cpus)
    EXPECT_EQ(count, 9u);
  EXPECT_TRUE(takeover->is_new("added"));
  EXPECT_FALSE(takeover->is_new("renamed"));
}

TEST_F(TakeoverTest, what_comes_in_meanwhile_is_carried_once_the_programs_are_swapped) {
  auto takeover = decide(plan);
  ASSERT_TRUE(takeover);
  ASSERT_EQ(takeover_later::load(later_.get()), 0);
  Undo undo;
  ASSERT_TRUE(takeover->carry(undo));
  write<__u64, __u64>(earlier_->maps.resized, 600, 1); // by the old program
  write<__u64, __u64>(earlier_->maps.resized, 5, 2);
  write<__u64, __u64>(later_->maps.resized, 5, 99); // by the new one
  const std::string before = pinned();
  ASSERT_TRUE(takeover->finish());
  undo.keep_everything();
  EXPECT_EQ(read<__u64>(later_->maps.resized, __u64{600}), 1u);
  EXPECT_EQ(read<__u64>(later_->maps.resized, __u64{5}), 99u);
  EXPECT_NE(pinned(), before);
  EXPECT_FALSE(fs::exists(pin_dir_ + "/of_no_use"));
  EXPECT_FALSE(fs::exists(pin_dir_ + "/former"));
  EXPECT_EQ(read_layout_number(pin_dir_), layout_number);
  const std::string after = pinned();
  auto again = decide(plan);
  ASSERT_TRUE(again);
  ASSERT_EQ(takeover_later::load(later_.get()), 0);
  Undo nothing;
  ASSERT_TRUE(again->carry(nothing));
  ASSERT_TRUE(again->finish());
  EXPECT_EQ(pinned(), after) << "the same layout is shared";
}

TEST_F(TakeoverTest, a_hash_that_is_a_table_of_buckets_now_is_visited_entry_by_entry) {
  auto takeover = decide(plan);
  ASSERT_TRUE(takeover) << takeover.error().message;
  ASSERT_EQ(takeover_later::load(later_.get()), 0);
  Undo undo;
  ASSERT_TRUE(takeover->carry(undo));
  const EarlierMap* earlier = takeover->earlier("in_buckets");
  ASSERT_TRUE(earlier);
  EXPECT_EQ(earlier->layout().type, BPF_MAP_TYPE_LRU_HASH);
  std::map<__u32, later_entry> seen;
  earlier->visit([&](const void* key, const void* value) {
    seen[static_cast<const earlier_part*>(key)->first] = *static_cast<const later_entry*>(value);
  });
  ASSERT_EQ(seen.size(), 50u);
  for (const auto& [number, entry] : seen) {
    EXPECT_EQ(entry.first, number);
    EXPECT_EQ(entry.second, 2 * number);
    EXPECT_EQ(entry.fresh, 0u);
  }
  ASSERT_TRUE(takeover->finish());
  undo.keep_everything();
  EXPECT_FALSE(fs::exists(pin_dir_ + "/hashed"));
  ASSERT_TRUE(decide(plan)) << "and the table is shared from now on";
  TakeoverPlan wrong = plan;
  wrong["in_buckets"].former_entries = {{"earlier_part", "of_nobody"}};
  const std::string no_struct = "no struct earlier_part or of_nobody";
  const auto shared = decide(wrong); // before an upgrade finds out
  ASSERT_FALSE(shared);
  EXPECT_NE(shared.error().message.find(no_struct), std::string::npos) << shared.error().message;
  unlink((pin_dir_ + "/in_buckets").c_str());
  const auto fresh = decide(wrong);
  ASSERT_FALSE(fresh);
  EXPECT_NE(fresh.error().message.find(no_struct), std::string::npos) << fresh.error().message;
  ASSERT_EQ(bpf_obj_pin(bpf_map__fd(earlier_->maps.hashed), (pin_dir_ + "/hashed").c_str()), 0);
  expect_refusal(wrong, "hashed: holds what this version does not know");
}

TEST_F(TakeoverTest, a_start_that_fails_leaves_the_pins) {
  const std::string before = pinned();
  auto takeover = decide(plan);
  ASSERT_TRUE(takeover);
  ASSERT_EQ(takeover_later::load(later_.get()), 0);
  {
    Undo undo;
    ASSERT_TRUE(takeover->carry(undo));
  }
  EXPECT_EQ(pinned(), before);
}

TEST_F(TakeoverTest, a_field_that_is_not_known_is_refused) {
  expect_refusal({{"changed", {.given_up = {"part"}}}}, "changed: holds what this version does not "
                                                        "know (gone)");
  expect_refusal({{"changed", {.given_up = {"gone"}}}}, "(part)");
}

TEST_F(TakeoverTest, pins_of_a_later_version_are_refused) {
  const Fd number(bpf_map_create(BPF_MAP_TYPE_ARRAY, "layout", 4, 4, 1, nullptr));
  const __u32 zero = 0, later = layout_number + 1;
  ASSERT_EQ(bpf_map_update_elem(number.get(), &zero, &later, 0), 0);
  ASSERT_EQ(bpf_obj_pin(number.get(), (pin_dir_ + "/layout").c_str()), 0);
  expect_refusal(plan, "of a later version");
}

TEST_F(TakeoverTest, a_map_that_cannot_be_read_is_refused) {
  const Fd other(bpf_map_create(BPF_MAP_TYPE_QUEUE, "resized", 0, 8, 16, nullptr));
  ASSERT_TRUE(other) << errno;
  ASSERT_EQ(unlink((pin_dir_ + "/resized").c_str()), 0);
  ASSERT_EQ(bpf_obj_pin(other.get(), (pin_dir_ + "/resized").c_str()), 0);
  expect_refusal(plan, "resized: cannot be read (queue of 16 entries");
}

// The thread's effective capabilities without CAP_SYS_ADMIN, as long as this lives.
class WithoutSysAdmin {
public:
  WithoutSysAdmin() {
    syscall(SYS_capget, &header_, had_);
    __user_cap_data_struct few[2] = {had_[0], had_[1]};
    few[0].effective &= ~(1U << CAP_SYS_ADMIN);
    dropped = syscall(SYS_capset, &header_, few) == 0;
  }
  WithoutSysAdmin(const WithoutSysAdmin&) = delete;
  WithoutSysAdmin& operator=(const WithoutSysAdmin&) = delete;
  ~WithoutSysAdmin() { syscall(SYS_capset, &header_, had_); }

  bool dropped = false;

private:
  __user_cap_header_struct header_ = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct had_[2] = {};
};

TEST_F(TakeoverTest, without_sys_admin_takes_the_types_that_were_noted) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("types-{}", getpid());
  fs::create_directories(folder);
  unsetenv("RUNTIME_DIRECTORY");
  EXPECT_FALSE(note_types(pin_dir_, "test")) << "it would note them nowhere";
  setenv("RUNTIME_DIRECTORY", folder.c_str(), 1);
  {
    const WithoutSysAdmin few;
    ASSERT_TRUE(few.dropped);
    expect_refusal(plan, "its types cannot be read (");
    EXPECT_FALSE(note_types(pin_dir_, "test"));
  }
  ASSERT_TRUE(note_types(pin_dir_, "test"));
  for (const auto& file : fs::directory_iterator(folder))
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  {
    const WithoutSysAdmin few;
    ASSERT_TRUE(few.dropped);
    const auto decided = decide(plan);
    ASSERT_TRUE(decided) << decided.error().message;
  }
  unsetenv("RUNTIME_DIRECTORY");
  fs::remove_all(folder);
}

} // namespace
} // namespace trap
