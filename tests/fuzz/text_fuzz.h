// SPDX-License-Identifier: Apache-2.0
// Needs of the targets that read texts and files.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime/printable.h"

namespace trap::fuzz {

inline void require(bool condition) {
  if (!condition)
    std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A file that only memory holds, under a path for readers that open one.
class MemoryFile {
public:
  explicit MemoryFile(std::string_view content) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    require(fd_ >= 0 &&
            write(fd_, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    require(lseek(fd_, 0, SEEK_SET) == 0);
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

private:
  int fd_;
};

inline void require_line(std::string_view line) {
  require(!line.empty());
  for (const char c : line)
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

// As log and command line print a message: it quotes words as they came.
inline void require_message(const std::string& message) {
  require_line(printable(message));
}

} // namespace trap::fuzz
