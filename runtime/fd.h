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

// All bytes up to the end of an open descriptor, at most `limit_bytes` of them; more is an error.
Result<std::string> read_all(int fd, const std::string& path, std::size_t limit_bytes);

// Whom a file may belong to, and who may change and read it.
enum class FileTrust {
  any,      // the kernel's own, as below /proc
  settings, // root's or this user's, and no other user can write it
  list,     // as settings, and no symbolic link: a line of another file is not to be taken for one
  secret,   // as list, and no other user can read it either
};

// Opens and reads a regular file of at most `limit_bytes`. Nothing is read of another kind of file,
// and none makes the caller wait. Errors have ExitCode::usage, name the file, and have nothing of
// its content; `kind` goes before the word "file", as "key " does.
Result<std::string> read_file(const std::string& path, std::size_t limit_bytes, FileTrust trust,
                              const std::string& kind = "");

} // namespace trap
