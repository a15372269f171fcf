// SPDX-License-Identifier: Apache-2.0
#include "ctl/key/key_output.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

#include "runtime/fd.h"

namespace trap::ctl {
namespace {

bool write_all(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    done += static_cast<std::size_t>(written);
  }
  return true;
}

} // namespace

Result<void> write_key(const std::string& file, const std::string& text) {
  if (file == "-") {
    if (!write_all(STDOUT_FILENO, text))
      return Error{fmt::format("cannot write the key to stdout: {}", error_text(errno))};
    return {};
  }
  Fd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd && errno == EEXIST)
    return Error{fmt::format("{}: exists already, and a key is never overwritten: name another "
                             "file, or move that one away",
                             file)};
  if (!fd)
    return Error{fmt::format("{}: cannot make the file: {}", file, error_text(errno))};
  if (fchmod(fd.get(), 0600) == 0 && write_all(fd.get(), text) && fsync(fd.get()) == 0)
    return {};
  Error error{fmt::format("{}: cannot write the key: {}", file, error_text(errno))};
  unlink(file.c_str());
  return error;
}

} // namespace trap::ctl
