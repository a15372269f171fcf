// SPDX-License-Identifier: Apache-2.0
#include "runtime/takeover/takeover.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "runtime/kernel/map_store.h"
#include "runtime/log.h"
#include "runtime/takeover/memory.h"

namespace trap {
namespace {

constexpr char number_map[] = "layout";
constexpr __u32 batch_size = 4096; // more than any bucket of a hash holds

bool is_per_cpu(const MapLayout& layout) {
  return layout.type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

bool is_array(const MapLayout& layout) {
  return layout.type == BPF_MAP_TYPE_ARRAY || is_per_cpu(layout);
}

bool can_be_visited(const MapLayout& layout) {
  return is_array(layout) || layout.type == BPF_MAP_TYPE_HASH ||
         layout.type == BPF_MAP_TYPE_LRU_HASH || layout.type == BPF_MAP_TYPE_LPM_TRIE;
}

bool is_never_carried(const MapLayout& layout) {
  return layout.type == BPF_MAP_TYPE_RINGBUF || layout.type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
}

// A value as a system call has it: of all CPUs in a row, each rounded up to 8 bytes.
std::size_t stride_of(std::size_t value_bytes) {
  return (value_bytes + 7) / 8 * 8;
}

std::size_t copies_of(const MapLayout& layout) {
  return is_per_cpu(layout) ? static_cast<std::size_t>(libbpf_num_possible_cpus()) : 1;
}

// Each byte is as the one before it, which libc compares many at once: tables have a hundred
// megabytes.
bool is_zero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Result<Fd> open_pin(const std::string& path) {
  Fd fd(bpf_obj_get(path.c_str()));
  if (!fd && errno != ENOENT)
    return Error{fmt::format("cannot open pinned map {}: {}", path, error_text(errno))};
  return fd;
}

bool is_shared(const MapLayout& from, const MapLayout& to) {
  return from.type == to.type && from.flags == to.flags && from.entries == to.entries &&
         FieldConverter::keys(from, to).is_identity() &&
         FieldConverter::values(from, to).is_identity();
}

// A layout whose entries are as `entries` says.
MapLayout form_of(const MapLayout& of, const EntryForm& entries) {
  const auto find = [&](const std::string& name, __u32& type, __u32& bytes) {
    const __s32 id = btf__find_by_name_kind(of.types.get(), name.c_str(), BTF_KIND_STRUCT);
    type = id > 0 ? static_cast<__u32>(id) : 0;
    bytes = id > 0 ? static_cast<__u32>(btf__resolve_size(of.types.get(), type)) : 0;
  };
  MapLayout form = of;
  find(entries.key, form.key_type, form.key_bytes);
  find(entries.value, form.value_type, form.value_bytes);
  return form;
}

// Every start looks whether it could read a former hash, or only an upgrade would find out.
Result<void> check_former_entries(const std::string& map, const MapPlan& plan,
                                  const MapLayout& to) {
  if (!plan.former_entries)
    return {};
  const MapLayout form = form_of(to, *plan.former_entries);
  if (form.key_type != 0 && form.value_type != 0)
    return {};
  return Error{
      fmt::format("its program has no struct {} or {}, by which an earlier map {} is to be "
                  "read",
                  plan.former_entries->key, plan.former_entries->value, map)};
}

// The fields that are lost without leave.
std::vector<std::string> lost_fields(const EarlierMap& earlier, const MapPlan& plan) {
  std::vector<std::string> lost;
  for (const FieldConverter* side : {&earlier.keys(), &earlier.values()})
    for (const std::string& field : side->lost())
      if (!plan.given_up.contains(field))
        lost.push_back(field);
  return lost;
}

// An array map in our memory, if it lets itself be mapped.
class MappedBytes {
public:
  explicit MappedBytes(const EarlierMap& map)
      : stride_(stride_of(map.layout().value_bytes)), bytes_(map.layout().entries * stride_) {
    if (!(map.layout().flags & BPF_F_MMAPABLE))
      return;
    void* memory = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, map.fd(), 0);
    if (memory != MAP_FAILED)
      memory_ = static_cast<const std::byte*>(memory);
  }
  MappedBytes(const MappedBytes&) = delete;
  MappedBytes& operator=(const MappedBytes&) = delete;
  ~MappedBytes() {
    if (memory_)
      munmap(const_cast<std::byte*>(memory_), bytes_);
  }

  explicit operator bool() const { return memory_ != nullptr; }
  std::span<const std::byte> at(std::size_t index) const {
    return {memory_ + index * stride_, stride_};
  }

private:
  std::size_t stride_, bytes_;
  const std::byte* memory_ = nullptr;
};

// Waiting mends none of these, so that a unit need not try again.
Error refusal(const std::string& path, const std::string& why, const std::string& program) {
  return Error{fmt::format("pinned map {}: {}: nothing was changed, and what is attached works on: "
                           "start the version of {} that made it; or end its protection and its "
                           "connections with {} --detach, then start again",
                           path, why, program, program),
               ExitCode::usage};
}

} // namespace

std::uint32_t read_layout_number(const std::string& pin_dir) {
  const Fd fd(bpf_obj_get((pin_dir + "/" + number_map).c_str()));
  const __u32 zero = 0;
  std::uint32_t number = 0;
  if (!fd || bpf_map_lookup_elem(fd.get(), &zero, &number) != 0 || number == 0)
    return 1;
  return number;
}

void EarlierMap::visit(const Visit& visit_entry) const {
  if (is_array(from_))
    visit_array(visit_entry);
  else
    visit_hash(visit_entry);
}

void EarlierMap::visit_array(const Visit& visit_entry) const {
  const std::size_t copies = copies_of(from_);
  const std::size_t stride = copies == 1 ? from_.value_bytes : stride_of(from_.value_bytes);
  const std::size_t stride_to = copies == 1 ? values_.bytes_to() : stride_of(values_.bytes_to());
  std::vector<std::byte> value(copies * stride_of(from_.value_bytes));
  std::vector<std::byte> converted(copies * stride_of(values_.bytes_to()));
  const MappedBytes mapped(*this); // millions of entries are read in moments
  for (__u32 index = 0; index < from_.entries; index++) {
    std::span<const std::byte> found(value);
    if (mapped)
      found = mapped.at(index);
    else if (bpf_map_lookup_elem(fd_.get(), &index, value.data()) != 0)
      continue;
    if (is_zero(found))
      continue;
    for (std::size_t copy = 0; copy < copies; copy++)
      values_.convert(found.subspan(copy * stride, from_.value_bytes),
                      std::span(converted).subspan(copy * stride_to, values_.bytes_to()));
    visit_entry(&index, converted.data());
  }
}

void EarlierMap::visit_hash(const Visit& visit_entry) const {
  std::vector<std::byte> keys(std::size_t{batch_size} * from_.key_bytes);
  std::vector<std::byte> values(std::size_t{batch_size} * from_.value_bytes);
  std::vector<std::byte> key(keys_.bytes_to()), value(values_.bytes_to());
  std::vector<std::byte> position(std::max<std::size_t>(from_.key_bytes, sizeof(__u32)));
  for (bool first = true;; first = false) {
    __u32 count = batch_size;
    const int failed =
        kernel_maps().look_up_batch(fd_.get(), first ? nullptr : position.data(), position.data(),
                                    keys.data(), values.data(), &count);
    if (failed && failed != -ENOENT)
      return;
    for (std::size_t i = 0; i < count; i++) {
      keys_.convert(std::span(keys).subspan(i * from_.key_bytes, from_.key_bytes), key);
      values_.convert(std::span(values).subspan(i * from_.value_bytes, from_.value_bytes), value);
      visit_entry(key.data(), value.data());
    }
    if (failed)
      return;
  }
}

Result<Takeover> Takeover::decide(bpf_object* object, const std::string& pin_dir,
                                  const std::string& program, const TakeoverPlan& plan) {
  Takeover takeover;
  takeover.object_ = object;
  takeover.pin_dir_ = pin_dir;
  takeover.program_ = program;
  if (const std::uint32_t number = read_layout_number(pin_dir); number > layout_number)
    return refusal(pin_dir + "/" + number_map,
                   fmt::format("these pins are of a later version (layout {}; this one knows {})",
                               number, layout_number),
                   program);
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__is_internal(map))
      continue;
    const auto planned = plan.find(bpf_map__name(map));
    if (auto decided =
            takeover.decide_map(map, planned == plan.end() ? MapPlan{} : planned->second);
        !decided)
      return decided.error();
  }
  std::uint64_t bytes = 0;
  bpf_object__for_each_map(map, object) {
    const std::string name = bpf_map__name(map);
    if (takeover.how_.contains(name) ||
        std::ranges::find(takeover.fresh_, name) != takeover.fresh_.end())
      bytes += bytes_of(layout_of(object, map));
  }
  if (auto enough = check_memory(bytes, "the tables"); !enough)
    return enough.error();
  return takeover;
}

Result<void> Takeover::decide_map(bpf_map* map, const MapPlan& plan) {
  const std::string name = bpf_map__name(map);
  const MapLayout to = layout_of(object_, map);
  std::string path = pin_dir_ + "/" + name;
  auto fd = open_pin(path);
  if (fd && !*fd && !plan.former_name.empty()) {
    path = pin_dir_ + "/" + plan.former_name;
    fd = open_pin(path);
  }
  if (!fd)
    return fd.error();
  if (!*fd) {
    fresh_.push_back(name);
    return check_former_entries(name, plan, to);
  }
  auto from = layout_of(fd->get(), path);
  if (!from)
    return from.error();
  if (is_shared(*from, to) && path.ends_with("/" + name)) {
    if (int failed = bpf_map__reuse_fd(map, fd->get()))
      return Error{fmt::format("cannot take over pinned map {}: {}", path, error_text(failed))};
    return check_former_entries(name, plan, to);
  }
  const bool kept = plan.carry != Carry::nothing && !is_never_carried(to);
  if (kept && !from->types_refused.empty())
    return refusal(path,
                   fmt::format("its types cannot be read ({}), which takes CAP_SYS_ADMIN, or {} "
                               "--note-types before the start",
                               from->types_refused, program_),
                   program_);
  const bool is_former = plan.former_entries && !is_array(*from) && is_array(to);
  EarlierMap earlier(std::move(*fd), *from, is_former ? form_of(to, *plan.former_entries) : to);
  if (kept && ((from->type != to.type && !is_former) || !can_be_visited(*from)))
    return refusal(path,
                   fmt::format("cannot be read ({}; here: {})", describe(*from), describe(to)),
                   program_);
  if (const auto lost = lost_fields(earlier, plan); kept && !lost.empty())
    return refusal(path,
                   fmt::format("holds what this version does not know ({})", fmt::join(lost, ", ")),
                   program_);
  how_[name] = kept ? plan.carry : Carry::nothing;
  earlier_.emplace(name, std::move(earlier));
  return {};
}

Result<void> Takeover::carry(Undo& undo) {
  for (const std::string& name : fresh_) {
    const std::string path = pin_dir_ + "/" + name;
    const int fd = bpf_map__fd(bpf_object__find_map_by_name(object_, name.c_str()));
    if (int failed = bpf_obj_pin(fd, path.c_str()))
      return Error{fmt::format("cannot pin map at {}: {}", path, error_text(failed))};
    undo.add([path] { unlink(path.c_str()); });
  }
  for (const auto& [name, how] : how_) {
    if (auto carried = how == Carry::entries ? carry_entries(name, false) : Result<void>{};
        !carried)
      return carried.error();
  }
  if (!earlier_.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, map] : earlier_)
      names.push_back(name);
    log::info("maps of an earlier layout or size are carried over: {}", fmt::join(names, ", "));
  }
  return {};
}

// The second time, entries that are there stay: the new programs have gone on with them.
Result<void> Takeover::carry_entries(const std::string& name, bool again) const {
  const EarlierMap& earlier = earlier_.at(name);
  const bpf_map* map = bpf_object__find_map_by_name(object_, name.c_str());
  const int fd = bpf_map__fd(map);
  const __u32 entries = bpf_map__max_entries(map);
  const bool array = is_array(earlier.layout());
  if (again && array)
    return {};
  int error = 0;
  earlier.visit([&](const void* key, const void* value) {
    __u32 index = 0;
    if (array)
      std::memcpy(&index, key, sizeof index);
    if (array && index >= entries)
      return;
    const int failed = kernel_maps().update(fd, key, value, again ? BPF_NOEXIST : BPF_ANY);
    if (failed && failed != -EEXIST && failed != -E2BIG && failed != -ENOSPC)
      error = failed;
  });
  if (error)
    return map_error(name.c_str(), "carry entries into", error);
  return {};
}

const EarlierMap* Takeover::earlier(const std::string& map) const {
  const auto found = earlier_.find(map);
  return found != earlier_.end() && how_.at(map) == Carry::by_part ? &found->second : nullptr;
}

bool Takeover::is_new(const std::string& map) const {
  return std::ranges::find(fresh_, map) != fresh_.end();
}

Result<void> Takeover::finish() {
  for (const auto& [name, how] : how_) {
    if (auto carried = how == Carry::entries ? carry_entries(name, true) : Result<void>{}; !carried)
      return carried.error();
  }
  std::set<std::string> ours = {number_map};
  for (const Pin& map : pins_of_maps(object_, pin_dir_)) {
    const std::string name = map.path.substr(pin_dir_.size() + 1);
    ours.insert(name);
    if (!earlier_.contains(name))
      continue;
    if (auto pinned = pin(map.fd, map.path); !pinned)
      return pinned.error();
  }
  earlier_.clear();
  how_.clear();
  for (const std::string& name : list_pins(pin_dir_))
    if (!ours.contains(name) && !name.starts_with("link-") && !name.starts_with("program-") &&
        !name.starts_with("front-") && !name.starts_with("was-"))
      unlink((pin_dir_ + "/" + name).c_str());
  const Fd map(bpf_obj_get((pin_dir_ + "/" + number_map).c_str()));
  LIBBPF_OPTS(bpf_map_create_opts, options);
  number_ = map ? Fd(bpf_obj_get((pin_dir_ + "/" + number_map).c_str()))
                : Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "trap_layout", sizeof(__u32), sizeof(__u32),
                                    1, &options));
  if (!number_)
    return map_error(number_map, "make", errno);
  if (auto written =
          kernel_maps().write(number_.get(), number_map, __u32{0}, std::uint32_t{layout_number});
      !written)
    return written.error();
  return pin(number_.get(), pin_dir_ + "/" + number_map);
}

std::vector<Pin> Takeover::pins() const {
  return {{pin_dir_ + "/" + number_map, number_.get()}};
}

} // namespace trap
