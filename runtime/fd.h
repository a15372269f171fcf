// SPDX-License-Identifier: Apache-2.0
// An owned file descriptor, and a file read whole.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "runtime/result.h"

namespace trap {

class Fd {
public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

private:
  int fd_ = -1;
};

// All bytes of an open regular file, at most `limit_bytes` of them; more is an error, as is a
// directory.
Result<std::string> read_all(int fd, const std::string& path, std::size_t limit_bytes);

// Opens and reads a file of at most `limit_bytes`.
Result<std::string> read_file(const std::string& path, std::size_t limit_bytes);

} // namespace trap
