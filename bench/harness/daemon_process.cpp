// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/daemon_process.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

#include <sys/stat.h>

namespace trap::bench {

namespace fs = std::filesystem;

pid_t daemon_in(const lab::Host& host) {
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
  throw std::runtime_error("no trap-server runs on " + host.name());
}

} // namespace trap::bench
