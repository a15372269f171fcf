// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/proc_numbers.h"

#include <fstream>
#include <stdexcept>

#include <fmt/format.h>

namespace trap::bench {

double number_in(const std::filesystem::path& file, const std::string& name) {
  std::ifstream lines{file};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":"))
      return std::stod(line.substr(name.size() + 1));
  throw std::runtime_error("no " + name + " in " + file.string());
}

double map_kib(int fd) {
  return number_in(fmt::format("/proc/self/fdinfo/{}", fd), "memlock") / 1024;
}

} // namespace trap::bench
