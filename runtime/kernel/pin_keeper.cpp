// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/pin_keeper.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

#include "runtime/log.h"

namespace trap {
namespace {

bool is_there(const Pin& pin) {
  return access(pin.path.c_str(), F_OK) == 0;
}

// Is the directory at `path` the one that is open?
bool is_same_directory(const Fd& open, const std::string& path) {
  struct stat here, there;
  return open && fstat(open.get(), &here) == 0 && stat(path.c_str(), &there) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

Result<unsigned> make_again(const std::string& pin_dir, const std::string& program,
                            const std::vector<Pin>& pins, Fd& lock) {
  if (!is_same_directory(lock, pin_dir)) {
    Undo undo;
    auto fresh = open_pin_dir(pin_dir, program, undo);
    if (!fresh)
      return fresh.error();
    undo.keep_everything();
    lock = std::move(*fresh);
  }
  unsigned made = 0;
  for (const Pin& wanted : pins) {
    if (is_there(wanted))
      continue;
    if (auto pinned = pin(wanted.fd, wanted.path); !pinned)
      return pinned.error();
    made++;
  }
  return made;
}

} // namespace

void PinKeeper::mend(const std::string& pin_dir, const std::string& program,
                     const std::vector<Pin>& pins, Fd& lock) {
  bool complete = true;
  for (const Pin& wanted : pins)
    complete = complete && is_there(wanted);
  if (complete) {
    problem_.clear();
    return;
  }
  const auto made = make_again(pin_dir, program, pins, lock);
  if (made) {
    problem_.clear();
    log::warn("{} of {} pins below {} were gone: pinned again", *made, pins.size(), pin_dir);
    return;
  }
  const std::string problem =
      fmt::format("pins are gone, and the programs end with the daemon: {}", made.error().message);
  if (problem != problem_)
    log::error("{}", problem);
  problem_ = problem;
}

std::vector<std::string> PinKeeper::problems() const {
  return problem_.empty() ? std::vector<std::string>() : std::vector<std::string>{problem_};
}

} // namespace trap
