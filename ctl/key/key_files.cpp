// SPDX-License-Identifier: Apache-2.0
// trapctl key generate and key derive: keys as new files.

#include <cerrno>
#include <unistd.h>

#include <fmt/core.h>

#include "ctl/commands.h"
#include "protocol/wire.h"
#include "runtime/keys/key_file.h"
#include "runtime/whole_file.h"

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

// A new file of mode 0600 with `text`; never one that exists. "-" is stdout.
Result<void> write_key(const std::string& file, const std::string& text) {
  if (file == "-") {
    if (!write_all(STDOUT_FILENO, text))
      return Error{fmt::format("cannot write the key to stdout: {}", error_text(errno))};
    return {};
  }
  auto made = WholeFile::make_new(file, 0600, "a key is never overwritten");
  if (!made)
    return made.error();
  if (auto written = made->append(text); !written)
    return written;
  return made->finish();
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
