// SPDX-License-Identifier: Apache-2.0
// A loaded BPF object as the tests use it: maps by name and content, programs run on one frame at a
// time. Everything throws std::runtime_error: a test without its program has nothing to say.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "dataplane/verdict.h"
#include "tests/support/vectors.h"

namespace trap::test {

// Contents of a map by key. A ring buffer's records are keyed by their number.
using Entries = std::map<Bytes, Bytes>;

struct Outcome {
  std::uint32_t action;
  Bytes frame;
  __sk_buff skb = {}; // of a program of tc, as it left it
};

class Object;

// How a table that a part keeps in an array map looks as a map of entries.
struct Table {
  std::function<void(Object&, const Bytes& key, const Bytes& value)> put;
  std::function<Entries(Object&)> entries;
  std::function<void(Object&)> clear;
  // The key that entries() has of an entry that put() made by `key`; null: the same.
  std::function<Bytes(Object&, const Bytes& key)> key_of = nullptr;
};

template <typename T> Bytes bytes_of(const T& value) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(&value);
  return {begin, begin + sizeof value};
}

// Before the load: lets Object map arrays into memory, so that a test need not ask the kernel for
// each of their entries.
void allow_mapping(bpf_object* object);

class Object {
public:
  // Takes a loaded object; `destroy` releases it.
  Object(bpf_object* object, std::function<void()> destroy);
  ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  const bpf_object* object() const { return object_; }
  // Without those that hold a program's variables.
  std::vector<std::string> map_names() const;
  bpf_map_type map_type(const std::string& map) const;
  // Does it have entries that come and go?
  bool is_hash(const std::string& map) const;
  // Makes put, entries and clear of that map those of the table.
  void see_as_table(const std::string& map, Table table) { tables_[map] = std::move(table); }
  int map_fd(const std::string& map) const;
  int program_fd(const std::string& program) const;
  // Is it a program of XDP? Otherwise it is one of tc.
  bool is_xdp(const std::string& program) const;
  // Does the kernel's test run take the frame? At tc it wants one of at most a page, with
  // room for an IP header.
  bool takes(const std::string& program, const Bytes& frame) const;
  // Does the frame go back to where it came from?
  bool is_answer(const std::string& program, const Outcome& outcome) const;

  void put(const std::string& map, const Bytes& key, const Bytes& value);
  template <typename K, typename V> void put(const std::string& map, const K& key, const V& value) {
    put(map, bytes_of(key), bytes_of(value));
  }
  template <typename V, typename K> V get(const std::string& map, const K& key) const {
    V value{};
    if (bpf_map_lookup_elem(map_fd(map), &key, &value) != 0)
      throw std::runtime_error("no such entry in map " + map);
    return value;
  }
  void clear(const std::string& map);
  // A key as entries() has it. A table may keep no more of a key than its print.
  Bytes key_of(const std::string& map, const Bytes& key);
  // Every entry; for a per-CPU map the values of all CPUs one after the other; for a ring buffer
  // what came since the last call.
  Entries entries(const std::string& map);
  // The same as the kernel has them, also of a table.
  Entries raw_entries(const std::string& map);

  // Keeps what every map holds now; restore() writes the differences back, of all maps or of one.
  // Arrays of maps, which nothing writes but the configuration, stay as they are.
  void remember();
  void restore();
  void restore(const std::string& map);

  // Everything a map holds, for comparison: keys and values one after the other, of all CPUs;
  // nothing for a ring buffer.
  Bytes dump(const std::string& map) const;

  // Sums over CPUs of what was counted, of the first `slots` service slots at most: at slot *
  // TRAP_VERDICT_SLOTS + verdict.
  std::vector<trap_count> counts(std::uint32_t slots) const;
  // Packets of one service slot, by verdict.
  std::vector<std::uint64_t> counters(std::uint32_t slot) const;

  // Slots and verdicts that counts() has found in any object of this process.
  using Counted = std::set<std::pair<std::uint32_t, trap_verdict>>;
  static const Counted& ever_counted() { return ever_counted_; }

  // Runs the program once, or `repeat` times on the same buffer. `skb`: for one of tc, what the
  // kernel is to know about the frame besides.
  Outcome run(const std::string& program, const Bytes& frame, int repeat = 1,
              const __sk_buff& skb = {}) const;

private:
  void map_arrays();
  void restore_array(const std::string& map);
  void restore_entries(const std::string& map);
  bpf_map* map(const std::string& name) const;
  bpf_program* program(const std::string& name) const;
  std::size_t value_bytes(const bpf_map* map) const;
  Entries drain(const std::string& name);

  static Counted ever_counted_;

  bpf_object* object_;
  std::function<void()> destroy_;
  struct Ring {
    std::vector<Bytes> records;
    std::unique_ptr<ring_buffer, void (*)(ring_buffer*)> reader{nullptr, ring_buffer__free};
  };
  std::map<std::string, Ring> rings_;
  std::map<std::string, std::span<std::uint8_t>> mapped_; // arrays
  std::map<std::string, Table> tables_;
  std::map<std::string, Bytes> remembered_; // dumps of arrays
  std::map<std::string, Entries> remembered_entries_;
};

// The last message of libbpf that was a warning, for messages of our own; libbpf prints nothing by
// itself after this call.
void keep_libbpf_quiet();
std::string last_libbpf_warning();

} // namespace trap::test
