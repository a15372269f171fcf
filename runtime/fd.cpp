// SPDX-License-Identifier: Apache-2.0
#include "runtime/fd.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/core.h>

namespace trap {

void Fd::reset() {
  if (fd_ >= 0)
    close(fd_);
  fd_ = -1;
}

Result<std::string> read_all(int fd, const std::string& path, std::size_t limit_bytes) {
  std::string text;
  char buffer[4096];
  for (;;) {
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return Error{fmt::format("{}: cannot read: {}", path, error_text(errno)), ExitCode::usage};
    if (got == 0)
      return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > limit_bytes)
      return Error{
          fmt::format("{}: longer than {} bytes: is this the right file?", path, limit_bytes),
          ExitCode::usage};
  }
}

Result<std::string> read_file(const std::string& path, std::size_t limit_bytes) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    return Error{fmt::format("{}: cannot open: {}", path, error_text(errno)), ExitCode::usage};
  return read_all(fd.get(), path, limit_bytes);
}

} // namespace trap
