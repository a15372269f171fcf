// SPDX-License-Identifier: Apache-2.0
// trapctl key generate and key derive: keys as new files.

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

#include "ctl/commands.h"
#include "protocol/wire.h"
#include "runtime/fd.h"
#include "runtime/keys/key_file.h"

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

// A new file of mode 0600 with `text`; never one that exists. "-" is stdout. Nothing is left behind
// on failure.
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

} // namespace

Result<void> generate_key(const std::string& file) {
  auto master = generate_master_key();
  if (!master)
    return master.error();
  return write_key(file, format_master_key(*master));
}

Result<void> derive_key(const std::string& guard, const std::string& master_file,
                        const std::string& output) {
  if (!is_guard_name(guard))
    return Error{fmt::format("guard \"{}\": use 1 to {} of a-z, 0-9, '.' and '-'", guard,
                             TRAP_GUARD_NAME_MAX),
                 ExitCode::usage};
  auto master = read_master_key(master_file);
  if (!master)
    return master.error();
  return write_key(output, format_guard_key({guard, derive_guard_secret(*master, guard)}));
}

} // namespace trap::ctl
