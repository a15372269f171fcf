// SPDX-License-Identifier: Apache-2.0
// Typed access to BPF maps by file descriptor. The caller's types must be the map's key and value.
#pragma once

#include <cerrno>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <bpf/bpf.h>
#include <linux/types.h>
#include <sys/mman.h>

#include "runtime/kernel/map_store.h"
#include "runtime/result.h"

namespace trap {

// The maps of the kernel; kernel_maps() has the same for a library that takes a MapStore.

template <class K, class V>
Result<void> map_write(int fd, const char* map, const K& key, const V& value) {
  return kernel_maps().write(fd, map, key, value);
}

template <class V, class K> std::optional<V> map_read(int fd, const K& key) {
  return kernel_maps().read<V>(fd, key);
}

template <class K> std::vector<K> map_keys(int fd) {
  return kernel_maps().keys<K>(fd);
}

template <class K, class V>
void map_visit(int fd, const std::function<void(const K&, const V&)>& visit) {
  kernel_maps().visit<K, V>(fd, visit);
}

// The single value of an mmapable array map, in our memory.
template <class T> class MappedValue {
public:
  MappedValue() = default;
  MappedValue(MappedValue&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}
  MappedValue& operator=(MappedValue&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  MappedValue(const MappedValue&) = delete;
  MappedValue& operator=(const MappedValue&) = delete;
  ~MappedValue() {
    if (value_)
      munmap(value_, sizeof(T));
  }

  static Result<MappedValue> make(int fd, const char* map) {
    void* memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
      return map_error(map, "map into memory", errno);
    MappedValue mapped;
    mapped.value_ = static_cast<T*>(memory);
    return mapped;
  }

  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_; }
  const T* operator->() const { return value_; }

private:
  T* value_ = nullptr;
};

// All values of an mmapable array map, for reading if T is const. T is as large as the map's value,
// and a multiple of 8 bytes.
template <class T> class MappedArray {
public:
  static_assert(sizeof(T) % 8 == 0, "an array map rounds its values up to 8 bytes");

  MappedArray() = default;
  MappedArray(MappedArray&& other) noexcept : values_(std::exchange(other.values_, {})) {}
  MappedArray& operator=(MappedArray&& other) noexcept {
    std::swap(values_, other.values_);
    return *this;
  }
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;
  ~MappedArray() {
    if (!values_.empty())
      munmap(const_cast<std::remove_const_t<T>*>(values_.data()), values_.size_bytes());
  }

  static Result<MappedArray> make(int fd, std::size_t count, const char* map) {
    constexpr int access = PROT_READ | (std::is_const_v<T> ? 0 : PROT_WRITE);
    void* memory = mmap(nullptr, count * sizeof(T), access, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
      return map_error(map, "map into memory", errno);
    MappedArray mapped;
    mapped.values_ = {static_cast<T*>(memory), count};
    return mapped;
  }

  std::span<T> values() const { return values_; }

private:
  std::span<T> values_;
};

} // namespace trap
