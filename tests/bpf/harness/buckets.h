// SPDX-License-Identifier: Apache-2.0
// Tables of buckets, which lie in array maps, for tests that show them as maps of entries.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "tests/bpf/harness/object.h"

namespace trap::test {

// All buckets of an mmapable array map.
template <typename Bucket> class Buckets {
public:
  Buckets(int fd, std::uint32_t count) : count_(count) {
    void* at = mmap(nullptr, count * sizeof(Bucket), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
      throw std::runtime_error("cannot map a table into memory");
    buckets_ = static_cast<Bucket*>(at);
  }
  ~Buckets() { munmap(buckets_, count_ * sizeof(Bucket)); }
  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;

  std::uint32_t size() const { return count_; }
  Bucket& operator[](std::uint32_t index) { return buckets_[index]; }
  void clear() { std::memset(static_cast<void*>(buckets_), 0, count_ * sizeof(Bucket)); }

private:
  std::uint32_t count_;
  Bucket* buckets_;
};

// A key or value of a table from its bytes.
template <typename T> T read_as(const Bytes& bytes) {
  T value;
  if (bytes.size() != sizeof value)
    throw std::runtime_error("wrong size of a key or value of a table");
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

} // namespace trap::test
