// SPDX-License-Identifier: Apache-2.0
// Maps and test runs through libbpf.
#include "tests/bpf/harness/object.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace trap::test {
namespace {

constexpr __u32 dump_block = 16384; // entries that are read at once

std::string& warnings() {
  static std::string text;
  return text;
}

int keep_message(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN)
    return 0;
  char line[4096];
  vsnprintf(line, sizeof line, format, arguments);
  warnings() += line;
  return 0;
}

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

int keep_record(void* context, void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  static_cast<std::vector<Bytes>*>(context)->emplace_back(bytes, bytes + size);
  return 0;
}

} // namespace

void keep_libbpf_quiet() {
  libbpf_set_print(keep_message);
}

std::string last_libbpf_warning() {
  constexpr std::size_t enough = 1500; // the end of a verifier's log says why
  const std::string& all = warnings();
  return all.size() > enough ? "..." + all.substr(all.size() - enough) : all;
}

void allow_mapping(bpf_object* object) {
  bpf_map* found = nullptr;
  bpf_object__for_each_map(found, object) {
    if (!bpf_map__is_internal(found) && bpf_map__type(found) == BPF_MAP_TYPE_ARRAY)
      bpf_map__set_map_flags(found, bpf_map__map_flags(found) | BPF_F_MMAPABLE);
  }
}

Object::Object(bpf_object* object, std::function<void()> destroy)
    : object_(object), destroy_(std::move(destroy)) {
  map_arrays();
  for (const std::string& name : map_names()) {
    if (map_type(name) == BPF_MAP_TYPE_RINGBUF)
      rings_[name].reader.reset(
          ring_buffer__new(map_fd(name), keep_record, &rings_[name].records, nullptr));
  }
}

Object::Counted Object::ever_counted_;

Object::~Object() {
  for (const auto& [name, bytes] : mapped_)
    munmap(bytes.data(), bytes.size());
  rings_.clear();
  destroy_();
}

void Object::map_arrays() {
  for (const std::string& name : map_names()) {
    const bpf_map* m = map(name);
    if (bpf_map__type(m) != BPF_MAP_TYPE_ARRAY || (bpf_map__map_flags(m) & BPF_F_MMAPABLE) == 0)
      continue;
    const std::size_t entry_bytes = (bpf_map__value_size(m) + std::size_t{7}) / 8 * 8;
    const std::size_t bytes = entry_bytes * bpf_map__max_entries(m);
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0);
    if (at == MAP_FAILED)
      fail("cannot map " + name);
    mapped_[name] = {static_cast<std::uint8_t*>(at), bytes};
  }
}

bpf_map* Object::map(const std::string& name) const {
  bpf_map* found = bpf_object__find_map_by_name(object_, name.c_str());
  if (found == nullptr)
    throw std::runtime_error("no map is called " + name);
  return found;
}

std::vector<std::string> Object::map_names() const {
  std::vector<std::string> names;
  bpf_map* found = nullptr;
  bpf_object__for_each_map(found, object_) {
    const bpf_map_type type = bpf_map__type(found);
    if (!bpf_map__is_internal(found) &&
        type != BPF_MAP_TYPE_SK_STORAGE && // which has no keys but sockets
        type != BPF_MAP_TYPE_PROG_ARRAY)   // which has programs, and no program writes
      names.emplace_back(bpf_map__name(found));
  }
  return names;
}

bpf_map_type Object::map_type(const std::string& name) const {
  return bpf_map__type(map(name));
}

bool Object::is_hash(const std::string& name) const {
  const bpf_map_type type = map_type(name);
  return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH || tables_.contains(name);
}

int Object::map_fd(const std::string& name) const {
  return bpf_map__fd(map(name));
}

bpf_program* Object::program(const std::string& name) const {
  bpf_program* found = bpf_object__find_program_by_name(object_, name.c_str());
  if (found == nullptr)
    throw std::runtime_error("no program is called " + name);
  return found;
}

int Object::program_fd(const std::string& name) const {
  return bpf_program__fd(program(name));
}

bool Object::is_xdp(const std::string& name) const {
  return bpf_program__type(program(name)) == BPF_PROG_TYPE_XDP;
}

bool Object::takes(const std::string& name, const Bytes& frame) const {
  const int type = frame.at(12) << 8 | frame.at(13);
  const std::size_t ip_bytes = type == ETH_P_IP     ? sizeof(iphdr)
                               : type == ETH_P_IPV6 ? sizeof(ipv6hdr)
                                                    : 0;
  constexpr std::size_t most = 3072; // a page has room for its own too
  return is_xdp(name) || (frame.size() >= ETH_HLEN + ip_bytes && frame.size() <= most);
}

bool Object::is_answer(const std::string& name, const Outcome& outcome) const {
  return outcome.action == (is_xdp(name) ? static_cast<std::uint32_t>(XDP_TX)
                                         : static_cast<std::uint32_t>(TC_ACT_REDIRECT));
}

std::size_t Object::value_bytes(const bpf_map* m) const {
  const std::size_t bytes = bpf_map__value_size(m);
  const bool per_cpu = bpf_map__type(m) == BPF_MAP_TYPE_PERCPU_ARRAY;
  return per_cpu ? (bytes + 7) / 8 * 8 * static_cast<std::size_t>(libbpf_num_possible_cpus())
                 : bytes;
}

void Object::put(const std::string& name, const Bytes& key, const Bytes& value) {
  if (const auto table = tables_.find(name); table != tables_.end())
    return table->second.put(*this, key, value);
  const bpf_map* m = map(name);
  if (key.size() != bpf_map__key_size(m) || value.size() != value_bytes(m))
    throw std::runtime_error("wrong size of a key or value for map " + name);
  if (bpf_map_update_elem(bpf_map__fd(m), key.data(), value.data(), BPF_ANY) != 0)
    fail("cannot write map " + name);
}

void Object::clear(const std::string& name) {
  if (const auto table = tables_.find(name); table != tables_.end())
    return table->second.clear(*this);
  for (const auto& [key, value] : entries(name))
    bpf_map_delete_elem(map_fd(name), key.data());
}

Entries Object::drain(const std::string& name) {
  Ring& ring = rings_.at(name);
  ring_buffer__consume(ring.reader.get());
  Entries result;
  for (std::size_t i = 0; i < ring.records.size(); i++)
    result[bytes_of(i)] = ring.records[i];
  ring.records.clear();
  return result;
}

Bytes Object::key_of(const std::string& name, const Bytes& key) {
  const auto table = tables_.find(name);
  return table != tables_.end() && table->second.key_of ? table->second.key_of(*this, key) : key;
}

Entries Object::entries(const std::string& name) {
  const auto table = tables_.find(name);
  return table != tables_.end() ? table->second.entries(*this) : raw_entries(name);
}

Entries Object::raw_entries(const std::string& name) {
  const bpf_map* m = map(name);
  if (bpf_map__type(m) == BPF_MAP_TYPE_RINGBUF)
    return drain(name);
  Entries result;
  Bytes key(bpf_map__key_size(m));
  Bytes next(key.size());
  Bytes value(value_bytes(m));
  const void* previous = nullptr;
  while (bpf_map_get_next_key(bpf_map__fd(m), previous, next.data()) == 0) {
    key = next;
    previous = key.data();
    if (bpf_map_lookup_elem(bpf_map__fd(m), key.data(), value.data()) == 0)
      result[key] = value;
  }
  return result;
}

Bytes Object::dump(const std::string& name) const {
  if (const auto found = mapped_.find(name); found != mapped_.end())
    return {found->second.begin(), found->second.end()};
  const bpf_map* m = map(name);
  if (bpf_map__type(m) == BPF_MAP_TYPE_RINGBUF)
    return {};
  const std::size_t key_size = bpf_map__key_size(m);
  const __u32 block = std::min(dump_block, bpf_map__max_entries(m));
  Bytes all;
  Bytes keys(block * key_size);
  Bytes values(block * value_bytes(m));
  Bytes position(std::max<std::size_t>(key_size, 8));
  Bytes next(position.size());
  for (bool first = true;; first = false) {
    __u32 count = block;
    const bool last =
        bpf_map_lookup_batch(bpf_map__fd(m), first ? nullptr : position.data(), next.data(),
                             keys.data(), values.data(), &count, nullptr) != 0;
    if (last && errno != ENOENT)
      fail("cannot read map " + name);
    all.insert(all.end(), keys.begin(), keys.begin() + static_cast<long>(count * key_size));
    all.insert(all.end(), values.begin(),
               values.begin() + static_cast<long>(count * value_bytes(m)));
    if (last)
      return all;
    position = next;
  }
}

namespace {

bool is_array(bpf_map_type type) {
  return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

bool keeps_entries(bpf_map_type type) {
  return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH ||
         type == BPF_MAP_TYPE_LPM_TRIE;
}

} // namespace

void Object::remember() {
  for (const std::string& name : map_names()) {
    if (is_array(map_type(name)))
      remembered_[name] = dump(name);
    else if (keeps_entries(map_type(name)))
      remembered_entries_[name] = raw_entries(name);
  }
}

void Object::restore() {
  for (const std::string& name : map_names())
    restore(name);
}

void Object::restore(const std::string& name) {
  if (is_array(map_type(name)))
    restore_array(name);
  else if (keeps_entries(map_type(name)))
    restore_entries(name);
  else if (map_type(name) == BPF_MAP_TYPE_RINGBUF)
    drain(name);
}

// A dump has blocks of many keys and then their values; entries of an array come in order.
void Object::restore_array(const std::string& name) {
  const Bytes& before = remembered_.at(name);
  if (const auto found = mapped_.find(name); found != mapped_.end()) {
    if (std::memcmp(found->second.data(), before.data(), before.size()) != 0)
      std::memcpy(found->second.data(), before.data(), before.size());
    return;
  }
  const bpf_map* m = map(name);
  const Bytes now = dump(name);
  if (now == before)
    return;
  const std::size_t bytes = value_bytes(m);
  const __u32 entries = bpf_map__max_entries(m);
  std::size_t block_at = 0;
  for (__u32 first = 0; first < entries; first += dump_block) {
    const __u32 count = std::min(dump_block, entries - first);
    const std::size_t values_at = block_at + count * sizeof(__u32);
    for (__u32 i = 0; i < count; i++) {
      const std::size_t at = values_at + i * bytes;
      const __u32 key = first + i;
      if (std::memcmp(&now[at], &before[at], bytes) != 0 &&
          bpf_map_update_elem(bpf_map__fd(m), &key, &before[at], BPF_ANY) != 0)
        fail("cannot restore map " + name);
    }
    block_at = values_at + count * bytes;
  }
}

void Object::restore_entries(const std::string& name) {
  const Entries& before = remembered_entries_.at(name);
  const Entries now = raw_entries(name);
  for (const auto& [key, value] : now) {
    if (!before.contains(key))
      bpf_map_delete_elem(map_fd(name), key.data());
  }
  for (const auto& [key, value] : before) {
    const auto found = now.find(key);
    if ((found == now.end() || found->second != value) &&
        bpf_map_update_elem(map_fd(name), key.data(), value.data(), BPF_ANY) != 0)
      fail("cannot restore map " + name);
  }
}

std::vector<trap_count> Object::counts(std::uint32_t slots) const {
  const bpf_map* m = map("counters");
  const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
  __u32 count = std::min(slots * TRAP_VERDICT_SLOTS, bpf_map__max_entries(m));
  std::vector<__u32> keys(count);
  std::vector<trap_count> values(count * cpus);
  __u32 batch = 0;
  if (bpf_map_lookup_batch(bpf_map__fd(m), nullptr, &batch, keys.data(), values.data(), &count,
                           nullptr) != 0 &&
      errno != ENOENT)
    fail("cannot read map counters");
  std::vector<trap_count> sums(keys.size());
  for (std::size_t i = 0; i < count * cpus; i++) {
    trap_count& sum = sums[keys[i / cpus]];
    sum.packets += values[i].packets;
    sum.bytes_in += values[i].bytes_in;
    sum.bytes_out += values[i].bytes_out;
  }
  for (__u32 at = 0; at < sums.size(); at++) {
    if (sums[at].packets != 0)
      ever_counted_.insert(
          {at / TRAP_VERDICT_SLOTS, static_cast<trap_verdict>(at % TRAP_VERDICT_SLOTS)});
  }
  return sums;
}

std::vector<std::uint64_t> Object::counters(std::uint32_t slot) const {
  const std::vector<trap_count> all = counts(slot + 1);
  std::vector<std::uint64_t> packets(TRAP_VERDICT_SLOTS);
  for (std::size_t verdict = 0; verdict < packets.size(); verdict++)
    packets[verdict] = all.at(std::size_t{slot} * TRAP_VERDICT_SLOTS + verdict).packets;
  return packets;
}

Outcome Object::run(const std::string& program, const Bytes& frame, int repeat,
                    const __sk_buff& skb) const {
  constexpr std::size_t room_to_grow = 256;
  Outcome outcome{0, Bytes(std::max<std::size_t>(4096, frame.size() + room_to_grow))};
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<__u32>(frame.size());
  options.data_out = outcome.frame.data();
  options.data_size_out = static_cast<__u32>(outcome.frame.size());
  options.repeat = repeat;
  if (!is_xdp(program)) {
    options.ctx_in = &skb;
    options.ctx_size_in = sizeof(skb);
    options.ctx_out = &outcome.skb;
    options.ctx_size_out = sizeof(outcome.skb);
  }
  if (bpf_prog_test_run_opts(program_fd(program), &options) != 0)
    fail("BPF_PROG_TEST_RUN of " + program + " on " + std::to_string(frame.size()) + " bytes");
  outcome.action = options.retval;
  outcome.frame.resize(options.data_size_out);
  return outcome;
}

} // namespace trap::test
