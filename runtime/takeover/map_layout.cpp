// SPDX-License-Identifier: Apache-2.0
#include "runtime/takeover/map_layout.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "runtime/takeover/noted_types.h"

namespace trap {
namespace {

// Next to key and value, an element of a hash holds links and its hash.
constexpr std::uint64_t element_overhead = 48, bucket_bytes = 16;

std::string name_in(const btf* types, __u32 offset) {
  const char* name = btf__name_by_offset(types, offset);
  return name ? name : "";
}

const btf_type* resolved(const btf* types, __u32& id) {
  const int there = btf__resolve_type(types, id);
  if (there < 0)
    return nullptr;
  id = static_cast<__u32>(there);
  return btf__type_by_id(types, id);
}

bool is_reserved(const std::string& name) {
  return name.starts_with("reserved");
}

struct Member {
  std::string name;
  __u32 type;
  std::size_t at;
};

// Those of a struct or union without a name are its owner's.
void list_members(const btf* types, const btf_type* type, std::size_t at,
                  std::vector<Member>& members) {
  for (__u32 i = 0; i < btf_vlen(type); i++) {
    const btf_member& member = btf_members(type)[i];
    const std::size_t there = at + btf_member_bit_offset(type, i) / 8;
    __u32 id = member.type;
    const btf_type* of = resolved(types, id);
    std::string name = name_in(types, member.name_off);
    if (name.empty() && of && btf_is_composite(of))
      list_members(types, of, there, members);
    else
      members.push_back({std::move(name), member.type, there});
  }
}

} // namespace

Result<MapLayout> layout_of(int fd, const std::string& path) {
  bpf_map_info info = {};
  __u32 length = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0)
    return Error{fmt::format("cannot examine pinned map {}: {}", path, error_text(errno))};
  MapLayout layout;
  layout.type = info.type;
  layout.flags = info.map_flags;
  layout.entries = info.max_entries;
  layout.key_bytes = info.key_size;
  layout.value_bytes = info.value_size;
  if (info.btf_id == 0)
    return layout;
  layout.types = types_of(info.btf_id);
  if (!layout.types)
    layout.types_refused = error_text(errno);
  layout.key_type = info.btf_key_type_id;
  layout.value_type = info.btf_value_type_id;
  return layout;
}

MapLayout layout_of(const bpf_object* object, const bpf_map* map) {
  MapLayout layout;
  layout.type = bpf_map__type(map);
  layout.flags = bpf_map__map_flags(map);
  layout.entries = bpf_map__max_entries(map);
  layout.key_bytes = bpf_map__key_size(map);
  layout.value_bytes = bpf_map__value_size(map);
  layout.key_type = bpf_map__btf_key_type_id(map);
  layout.value_type = bpf_map__btf_value_type_id(map);
  layout.types = {bpf_object__btf(object), [](const btf*) {}}; // the object's
  return layout;
}

std::string describe(const MapLayout& layout) {
  const char* name = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(layout.type));
  return fmt::format("{} of {} entries, {}-byte keys, {}-byte values, flags {:#x}",
                     name ? name : "map", layout.entries, layout.key_bytes, layout.value_bytes,
                     layout.flags);
}

std::uint64_t bytes_of(const MapLayout& layout) {
  const std::uint64_t value = (layout.value_bytes + 7ULL) / 8 * 8;
  switch (layout.type) {
  case BPF_MAP_TYPE_PERCPU_ARRAY:
    return value * layout.entries * static_cast<std::uint64_t>(libbpf_num_possible_cpus());
  case BPF_MAP_TYPE_HASH:
  case BPF_MAP_TYPE_LRU_HASH:
    return layout.entries *
           (element_overhead + (layout.key_bytes + 7ULL) / 8 * 8 + value + bucket_bytes);
  case BPF_MAP_TYPE_RINGBUF:
    return layout.entries;
  case BPF_MAP_TYPE_LPM_TRIE: // grows with its entries
  case BPF_MAP_TYPE_SK_STORAGE:
    return 0;
  default:
    return value * layout.entries;
  }
}

FieldConverter FieldConverter::keys(const MapLayout& from, const MapLayout& to) {
  return make(from, from.key_type, from.key_bytes, to, to.key_type, to.key_bytes);
}

FieldConverter FieldConverter::values(const MapLayout& from, const MapLayout& to) {
  return make(from, from.value_type, from.value_bytes, to, to.value_type, to.value_bytes);
}

FieldConverter FieldConverter::make(const MapLayout& from, __u32 from_type, std::size_t from_bytes,
                                    const MapLayout& to, __u32 to_type, std::size_t to_bytes) {
  FieldConverter made;
  made.bytes_to_ = to_bytes;
  if (!from.types || !to.types || from_type == 0 || to_type == 0) {
    made.identity_ = from_bytes == to_bytes;
    if (made.identity_)
      made.runs_.push_back({0, 0, from_bytes});
    else
      made.lost_.insert("(all)");
    return made;
  }
  if (!made.match({from.types.get(), from_type, 0}, {to.types.get(), to_type, 0}, ""))
    made.lost_.insert("(all)");
  made.identity_ = made.identity_ && made.lost_.empty() && from_bytes == to_bytes;
  return made;
}

// False if the two forms differ in such a way that nothing of it can be kept.
bool FieldConverter::match(const Side& from, const Side& to, const std::string& path) {
  Side a = from, b = to;
  const btf_type* before = resolved(a.types, a.type);
  const btf_type* after = resolved(b.types, b.type);
  if (!before || !after)
    return false;
  if (btf_is_struct(before) && btf_is_struct(after))
    return match_members(a, b, path);
  if (btf_is_array(before) && btf_is_array(after))
    return match_arrays(a, b, path);
  const bool alike = btf_kind(before) == btf_kind(after) ||
                     (!btf_is_composite(before) && !btf_is_composite(after) &&
                      !btf_is_array(before) && !btf_is_array(after));
  return alike && match_bytes(a, b);
}

// A struct within another is kept whole or not at all: keys without their epochs would be worse
// than none. What the outermost one cannot keep is lost field by field.
bool FieldConverter::match_members(const Side& from, const Side& to, const std::string& path) {
  std::vector<Member> before, after;
  list_members(from.types, btf__type_by_id(from.types, from.type), from.at, before);
  list_members(to.types, btf__type_by_id(to.types, to.type), to.at, after);
  for (const Member& member : before) {
    const auto found = std::ranges::find(after, member.name, &Member::name);
    const std::size_t runs = runs_.size();
    if (found != after.end() && match({from.types, member.type, member.at},
                                      {to.types, found->type, found->at}, path + member.name + "."))
      continue;
    runs_.resize(runs);
    identity_ = false;
    if (is_reserved(member.name))
      continue;
    if (!path.empty())
      return false;
    lost_.insert(member.name);
  }
  identity_ = identity_ && std::ranges::all_of(after, [&](const Member& member) {
                return std::ranges::find(before, member.name, &Member::name) != before.end();
              });
  return true;
}

bool FieldConverter::match_arrays(const Side& from, const Side& to, const std::string& path) {
  const auto* before = btf_array(btf__type_by_id(from.types, from.type));
  const auto* after = btf_array(btf__type_by_id(to.types, to.type));
  __u32 element = before->type;
  const btf_type* type = resolved(from.types, element);
  if (before->nelems != after->nelems || !type)
    return false;
  if (!btf_is_struct(type))
    return match_bytes(from, to);
  const auto old_bytes = static_cast<std::size_t>(btf__resolve_size(from.types, before->type));
  const auto new_bytes = static_cast<std::size_t>(btf__resolve_size(to.types, after->type));
  for (__u32 i = 0; i < before->nelems; i++) {
    if (!match({from.types, before->type, from.at + i * old_bytes},
               {to.types, after->type, to.at + i * new_bytes}, path))
      return false;
  }
  return true;
}

bool FieldConverter::match_bytes(const Side& from, const Side& to) {
  const __s64 before = btf__resolve_size(from.types, from.type);
  if (before < 0 || before != btf__resolve_size(to.types, to.type))
    return false;
  identity_ = identity_ && from.at == to.at;
  runs_.push_back({from.at, to.at, static_cast<std::size_t>(before)});
  return true;
}

void FieldConverter::convert(std::span<const std::byte> from, std::span<std::byte> to) const {
  std::ranges::fill(to, std::byte{0});
  for (const Run& run : runs_)
    std::memcpy(to.data() + run.to, from.data() + run.from, run.bytes);
}

} // namespace trap
