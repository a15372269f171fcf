// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/pin_holder.h"

#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fmt/core.h>

namespace trap {

// A line is "1: FLOCK ADVISORY WRITE 4242 00:1b:17 0 EOF": the process, and device and inode.
std::optional<int> holder_of_pin_dir(const std::string& pin_dir) {
  struct stat info;
  if (stat(pin_dir.c_str(), &info) != 0)
    return std::nullopt;
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(info.st_dev), minor(info.st_dev), info.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, access, place;
    int process = 0;
    if (words >> number >> kind >> advisory >> access >> process >> place && kind == "FLOCK" &&
        place == wanted)
      return process;
  }
  return std::nullopt;
}

} // namespace trap
