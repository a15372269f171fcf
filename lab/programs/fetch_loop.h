// SPDX-License-Identifier: Apache-2.0
// One curl after the other from a host, each with a connection of its own, while the caller changes
// things.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lab/hosts/host.h"
#include "lab/hosts/process.h"
#include "lab/programs/curl.h"
#include "runtime/result.h"

namespace trap::lab {

struct LoopResult {
  int fetches = 0, failures = 0;
  double slowest_s = 0;
  std::string first_failure; // curl's words
  [[nodiscard]] std::string text() const;
};

class FetchLoop {
public:
  // Makes these requests in turn until finish(), each within five seconds. Of a request, URL and
  // local address count.
  static Result<FetchLoop> start(const Host& host, const std::vector<Request>& requests);

  // Ends it. The fetch that this cuts short counts neither way.
  LoopResult finish();

  // The fetches so far.
  [[nodiscard]] LoopResult so_far() const;

private:
  FetchLoop(Process process, std::filesystem::path log)
      : process_(std::move(process)), log_(std::move(log)) {}
  Process process_;
  std::filesystem::path log_;
};

} // namespace trap::lab
