// SPDX-License-Identifier: Apache-2.0
// A real nginx on a lab host, with a configuration, a prefix and documents of its own. It serves
// small.txt and 5mb.bin (random), the same below /crawl/ (0.25 MB/s), /slow/ (1 MB/s) and /steady/
// (2 MB/s), and takes uploads below /upload/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lab/hosts/host.h"
#include "lab/hosts/process.h"
#include "runtime/result.h"

namespace trap::lab {

inline constexpr std::uint64_t download_bytes = 5'000'000;

class Nginx {
public:
  // Starts it on all addresses of the host and waits until it accepts connections.
  static Result<Nginx> start(const Host& host, const std::vector<int>& ports);

  [[nodiscard]] std::filesystem::path documents() const { return prefix_ / "documents"; }
  [[nodiscard]] std::filesystem::path uploads() const { return documents() / "upload"; }

private:
  Nginx(std::filesystem::path prefix, Process process)
      : prefix_(std::move(prefix)), process_(std::move(process)) {}
  std::filesystem::path prefix_;
  Process process_;
};

} // namespace trap::lab
