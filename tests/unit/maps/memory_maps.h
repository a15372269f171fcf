// SPDX-License-Identifier: Apache-2.0
// Maps in this process's memory, with a look after every write that changes one. What a program
// would find is read by the same calls.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "runtime/kernel/map_store.h"

namespace trap::test {

enum class MapKind { array, hash, trie, array_of_maps };

class MemoryMaps final : public MapStore {
public:
  // Descriptor of a new map, which no kernel knows.
  int add(MapKind kind, std::size_t key_bytes, std::size_t value_bytes, std::size_t entries);

  // Called when a map was changed.
  std::function<void()> after_write = [] {};
  std::size_t writes() const { return writes_; }

  // As a program looks into the inner map that an array of maps has at `slot`.
  template <class V, class K>
  std::optional<V> read_inner(int fd, std::uint32_t slot, const K& key) {
    V value{};
    const auto inner = inner_of(fd, slot);
    if (!inner || find(*inner, &key, &value) != 0)
      return std::nullopt;
    return value;
  }

  int look_up(int fd, const void* key, void* value) override;
  int update(int fd, const void* key, const void* value, __u64 flags) override;
  int erase(int fd, const void* key) override;
  int next_key(int fd, const void* key, void* next) override;
  int look_up_batch(int fd, void* position, void* next, void* keys, void* values,
                    __u32* count) override;
  int update_batch(int fd, const void* keys, const void* values, __u32* count) override;
  int make_trie(const char* name, __u32 key_bytes, __u32 value_bytes, __u32 entries) override;

private:
  struct Map {
    MapKind kind;
    std::size_t key_bytes;
    std::size_t value_bytes;
    std::size_t most;
    std::map<std::string, std::string> entries = {};
    std::map<std::string, std::shared_ptr<Map>> inner = {};
  };

  std::shared_ptr<Map> inner_of(int fd, std::uint32_t slot);
  static int find(const Map& map, const void* key, void* value);
  int put(Map& map, const void* key, const void* value, __u64 flags);
  void changed();

  std::map<int, std::shared_ptr<Map>> maps_;
  std::size_t writes_ = 0;
};

} // namespace trap::test
