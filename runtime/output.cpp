// SPDX-License-Identifier: Apache-2.0
#include "runtime/output.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace trap {
namespace {

// 0: a reason that was told when nobody listened.
Error cannot_write(int reason) {
  return Error{"cannot write to standard output" + (reason ? ": " + error_text(reason) : "")};
}

} // namespace

void prepare_to_write() {
  signal(SIGXFSZ, SIG_IGN);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      static_cast<void>(open("/", O_PATH)); // gets the lowest number that is free
  }
}

Result<ExitCode> print_whole(const std::function<Result<ExitCode>()>& command) {
  try {
    auto done = command();
    const bool failed_before = std::ferror(stdout) != 0;
    const int reason = std::fflush(stdout) != 0 ? errno : 0;
    return done && (reason != 0 || failed_before) ? cannot_write(reason) : done;
  } catch (const std::system_error& thrown) { // by fmt, once its buffer cannot be emptied
    if (std::ferror(stdout) == 0)
      throw;
    return cannot_write(thrown.code().value());
  }
}

} // namespace trap
