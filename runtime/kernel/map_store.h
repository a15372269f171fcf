// SPDX-License-Identifier: Apache-2.0
// The bpf() calls that the maps libraries make, behind an interface: the kernel's in production, a
// test's own where every single write is to be seen.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include <bpf/bpf.h>
#include <linux/types.h>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap {

Error map_error(const char* map, const char* what, int error_number);

// Maps are named by file descriptor; the caller's types must be the map's key and value. The names
// that the templates take are for error lines.
class MapStore {
public:
  virtual ~MapStore() = default;

  // Each returns 0, or a negative errno.
  virtual int look_up(int fd, const void* key, void* value) = 0;
  virtual int update(int fd, const void* key, const void* value, __u64 flags) = 0;
  virtual int erase(int fd, const void* key) = 0;
  // The key after `key`, or the first one if that is null; -ENOENT after the last.
  virtual int next_key(int fd, const void* key, void* next) = 0;
  // As bpf_map_lookup_batch and bpf_map_update_batch; `count` comes back as how many were done.
  virtual int look_up_batch(int fd, void* position, void* next, void* keys, void* values,
                            __u32* count) = 0;
  virtual int update_batch(int fd, const void* keys, const void* values, __u32* count) = 0;
  // A new LPM trie with room for `entries`: its file descriptor, or a negative errno.
  virtual int make_trie(const char* name, __u32 key_bytes, __u32 value_bytes, __u32 entries) = 0;

  template <class K, class V>
  Result<void> write(int fd, const char* map, const K& key, const V& value) {
    if (const int failed = update(fd, &key, &value, BPF_ANY))
      return map_error(map, "write to", failed);
    return {};
  }

  // An entry that is not there is no error.
  template <class K> Result<void> remove(int fd, const char* map, const K& key) {
    if (const int failed = erase(fd, &key); failed && failed != -ENOENT)
      return map_error(map, "delete from", failed);
    return {};
  }

  template <class V, class K> std::optional<V> read(int fd, const K& key) {
    V value{};
    if (look_up(fd, &key, &value) != 0)
      return std::nullopt;
    return value;
  }

  template <class K> std::vector<K> keys(int fd) {
    std::vector<K> keys;
    K key{};
    K next{};
    const void* from = nullptr;
    while (next_key(fd, from, &next) == 0) {
      keys.push_back(next);
      key = next;
      from = &key;
    }
    return keys;
  }

  // Visits the entries of a hash or an array in batches, without a system call for each; entries
  // that come or go meanwhile may be missed.
  template <class K, class V>
  void visit(int fd, const std::function<void(const K&, const V&)>& visit_entry) {
    constexpr __u32 batch_size = 4096; // more than any hash bucket holds
    std::vector<K> keys(batch_size);
    std::vector<V> values(batch_size);
    __u32 position[2] = {};
    bool first = true;
    for (;;) {
      __u32 count = batch_size;
      const int failed = look_up_batch(fd, first ? nullptr : &position[0], &position[1],
                                       keys.data(), values.data(), &count);
      if (failed && failed != -ENOENT)
        return;
      for (__u32 i = 0; i < count; i++)
        visit_entry(keys[i], values[i]);
      if (failed)
        return;
      position[0] = position[1];
      first = false;
    }
  }
};

MapStore& kernel_maps();

} // namespace trap
