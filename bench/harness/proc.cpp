// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/proc.h"

#include <cstdlib>
#include <fstream>
#include <system_error>

#include <sys/stat.h>

#include <fmt/format.h>

namespace trap::bench {

namespace fs = std::filesystem;

Result<pid_t> daemon_in(const lab::Host& host) {
  struct stat wanted {};
  fstat(host.descriptor(), &wanted);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    struct stat found {};
    std::string name;
    if (pid > 0 && stat((entry.path() / "ns/net").c_str(), &found) == 0 &&
        found.st_ino == wanted.st_ino && std::getline(std::ifstream{entry.path() / "comm"}, name) &&
        name == "trap-server")
      return pid;
  }
  return Error{"no trap-server runs on " + host.name()};
}

Result<double> number_in(const fs::path& file, const std::string& name) {
  std::ifstream lines{file};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":"))
      return std::stod(line.substr(name.size() + 1));
  return Error{"no " + name + " in " + file.string()};
}

Result<double> map_kib(int fd) {
  auto bytes = number_in(fmt::format("/proc/self/fdinfo/{}", fd), "memlock");
  if (bytes)
    *bytes /= 1024;
  return bytes;
}

} // namespace trap::bench
