// SPDX-License-Identifier: Apache-2.0
#include "runtime/fd.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

namespace trap {

namespace {

Error usage(const std::string& path, const std::string& reason) {
  return Error{fmt::format("{}: {}", path, reason), ExitCode::usage};
}

Error too_long(const std::string& path, std::size_t limit_bytes) {
  return usage(path, fmt::format("longer than {} bytes: is this the right file?", limit_bytes));
}

Result<void> check_trust(const struct stat& info, const std::string& path, FileTrust trust,
                         const std::string& kind) {
  if (trust == FileTrust::any)
    return {};
  if (info.st_uid != 0 && info.st_uid != geteuid())
    return usage(
        path, fmt::format("{}file belongs to user {}: run chown root {}", kind, info.st_uid, path));
  if (trust == FileTrust::secret && info.st_mode & (S_IRWXG | S_IRWXO))
    return usage(path, fmt::format("{}file has mode {:04o}, others can use it: run chmod 600 {}",
                                   kind, info.st_mode & 07777, path));
  if (info.st_mode & (S_IWGRP | S_IWOTH))
    return usage(path,
                 fmt::format("{}file has mode {:04o}, others can change it: run chmod go-w {}",
                             kind, info.st_mode & 07777, path));
  return {};
}

} // namespace

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
      return usage(path, fmt::format("cannot read: {}", error_text(errno)));
    if (got == 0)
      return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > limit_bytes)
      return too_long(path, limit_bytes);
  }
}

Result<std::string> read_file(const std::string& path, std::size_t limit_bytes, FileTrust trust,
                              const std::string& kind) {
  const bool follows = trust == FileTrust::any || trust == FileTrust::settings;
  // O_NONBLOCK: to open a FIFO would wait for a writer.
  Fd fd(open(path.c_str(),
             O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (follows ? 0 : O_NOFOLLOW)));
  struct stat info;
  if (!fd && errno == ELOOP && !follows)
    return usage(path, fmt::format("{}file is a symbolic link: name the file itself", kind));
  if (!fd && errno != ENXIO) // which a socket gives
    return usage(path, fmt::format("cannot open{}: {}", kind.empty() ? "" : " " + kind + "file",
                                   error_text(errno)));
  if (fd && fstat(fd.get(), &info) != 0)
    return usage(path, fmt::format("cannot examine: {}", error_text(errno)));
  if (!fd || !S_ISREG(info.st_mode))
    return usage(path,
                 fmt::format("{}: name a {}file",
                             fd && S_ISDIR(info.st_mode) ? "is a directory" : "not a regular file",
                             kind));
  if (auto trusted = check_trust(info, path, trust, kind); !trusted)
    return trusted.error();
  if (info.st_size > 0 && static_cast<std::size_t>(info.st_size) > limit_bytes)
    return too_long(path, limit_bytes);
  return read_all(fd.get(), path, limit_bytes);
}

} // namespace trap
