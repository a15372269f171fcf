// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/maps/memory_maps.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace trap::test {
namespace {

constexpr int first_descriptor = 1 << 20; // above any that the kernel gives

std::string bytes_at(const void* memory, std::size_t size) {
  return {static_cast<const char*>(memory), size};
}

std::uint32_t bits_of(const std::string& trie_key) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, trie_key.data(), sizeof bits);
  return bits;
}

// Are the first `bits` after the length the same?
bool same_prefix(const std::string& a, const std::string& b, std::uint32_t bits) {
  const std::size_t whole = bits / 8;
  constexpr std::size_t start = sizeof(std::uint32_t);
  if (a.compare(start, whole, b, start, whole) != 0)
    return false;
  const auto differ =
      static_cast<unsigned char>(bits % 8 ? a[start + whole] ^ b[start + whole] : 0);
  return differ >> (8 - bits % 8) == 0;
}

} // namespace

int MemoryMaps::add(MapKind kind, std::size_t key_bytes, std::size_t value_bytes,
                    std::size_t entries) {
  const int fd = first_descriptor + static_cast<int>(maps_.size());
  maps_[fd] = std::make_shared<Map>(Map{kind, key_bytes, value_bytes, entries});
  return fd;
}

void MemoryMaps::changed() {
  writes_++;
  after_write();
}

std::shared_ptr<MemoryMaps::Map> MemoryMaps::inner_of(int fd, std::uint32_t slot) {
  const auto& inner = maps_.at(fd)->inner;
  const auto found = inner.find(bytes_at(&slot, sizeof slot));
  return found == inner.end() ? nullptr : found->second;
}

int MemoryMaps::find(const Map& map, const void* key, void* value) {
  const std::string wanted = bytes_at(key, map.key_bytes);
  const std::string* found = nullptr;
  if (map.kind == MapKind::trie) {
    std::uint32_t longest = 0;
    for (const auto& [prefix, entry] : map.entries) {
      const std::uint32_t bits = bits_of(prefix);
      if (bits <= bits_of(wanted) && (!found || bits >= longest) &&
          same_prefix(prefix, wanted, bits)) {
        longest = bits;
        found = &entry;
      }
    }
  } else if (const auto at = map.entries.find(wanted); at != map.entries.end()) {
    found = &at->second;
  }
  if (found)
    std::memcpy(value, found->data(), map.value_bytes);
  else if (map.kind == MapKind::array)
    std::memset(value, 0, map.value_bytes);
  return found || map.kind == MapKind::array ? 0 : -ENOENT;
}

int MemoryMaps::look_up(int fd, const void* key, void* value) {
  const Map& map = *maps_.at(fd);
  if (map.kind == MapKind::array_of_maps)
    return map.inner.contains(bytes_at(key, map.key_bytes)) ? 0 : -ENOENT;
  return find(map, key, value);
}

int MemoryMaps::put(Map& map, const void* key, const void* value, __u64 flags) {
  const std::string at = bytes_at(key, map.key_bytes);
  const std::string now = bytes_at(value, map.value_bytes);
  if (map.kind == MapKind::array_of_maps) {
    int inner = -1;
    std::memcpy(&inner, value, sizeof inner);
    map.inner[at] = maps_.at(inner);
    changed();
    return 0;
  }
  const auto found = map.entries.find(at);
  if (found != map.entries.end() && flags == BPF_NOEXIST)
    return -EEXIST;
  if (found == map.entries.end() && map.entries.size() == map.most)
    return map.kind == MapKind::trie ? -ENOSPC : -E2BIG;
  if (found != map.entries.end() && found->second == now)
    return 0;
  if (found == map.entries.end() && map.kind == MapKind::array &&
      now.find_first_not_of('\0') == std::string::npos)
    return 0; // an array holds zeros from the beginning
  map.entries[at] = now;
  changed();
  return 0;
}

int MemoryMaps::update(int fd, const void* key, const void* value, __u64 flags) {
  return put(*maps_.at(fd), key, value, flags);
}

int MemoryMaps::erase(int fd, const void* key) {
  Map& map = *maps_.at(fd);
  const std::string at = bytes_at(key, map.key_bytes);
  if (map.entries.erase(at) + map.inner.erase(at) == 0)
    return -ENOENT;
  changed();
  return 0;
}

int MemoryMaps::next_key(int fd, const void* key, void* next) {
  const Map& map = *maps_.at(fd);
  const auto at = key ? map.entries.upper_bound(bytes_at(key, map.key_bytes)) : map.entries.begin();
  if (at == map.entries.end())
    return -ENOENT;
  std::memcpy(next, at->first.data(), map.key_bytes);
  return 0;
}

// Entries that were never written are left out.
int MemoryMaps::look_up_batch(int fd, void* position, void* next, void* keys, void* values,
                              __u32* count) {
  const Map& map = *maps_.at(fd);
  std::uint32_t from = 0;
  if (position)
    std::memcpy(&from, position, sizeof from);
  __u32 done = 0;
  auto at = map.entries.begin();
  for (std::advance(at, from); at != map.entries.end() && done < *count; ++at, done++) {
    std::memcpy(static_cast<char*>(keys) + done * map.key_bytes, at->first.data(), map.key_bytes);
    std::memcpy(static_cast<char*>(values) + done * map.value_bytes, at->second.data(),
                map.value_bytes);
  }
  *count = done;
  from += done;
  std::memcpy(next, &from, sizeof from);
  return at == map.entries.end() ? -ENOENT : 0;
}

int MemoryMaps::update_batch(int fd, const void* keys, const void* values, __u32* count) {
  Map& map = *maps_.at(fd);
  for (__u32 i = 0; i < *count; i++) {
    const int failed = put(map, static_cast<const char*>(keys) + i * map.key_bytes,
                           static_cast<const char*>(values) + i * map.value_bytes, BPF_ANY);
    if (failed) {
      *count = i;
      return failed;
    }
  }
  return 0;
}

// Its owner closes it, so the descriptor is a real one.
int MemoryMaps::make_trie(const char*, __u32 key_bytes, __u32 value_bytes, __u32 entries) {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd >= 0)
    maps_[fd] = std::make_shared<Map>(Map{MapKind::trie, key_bytes, value_bytes, entries});
  return fd < 0 ? -errno : fd;
}

} // namespace trap::test
