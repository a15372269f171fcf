// SPDX-License-Identifier: Apache-2.0
// A real curl on a lab host, and what it measured.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "lab/hosts/host.h"
#include "lab/hosts/process.h"
#include "runtime/result.h"

namespace trap::lab {

struct Request {
  std::string url;
  std::chrono::milliseconds deadline{10000};
  std::filesystem::path upload{}; // sent with PUT if not empty
  std::string local_address{};    // to connect from, if not empty
};

struct Response {
  int exit_code = -1; // curl's own: 0 done, 7 refused or reset, 28 timed out, 56 receive failed
  int http_status = 0;
  double connect_s = 0, total_s = 0;
  std::uint64_t bytes = 0; // of the body, received or sent
  std::string remote_address;
  std::string error; // curl's own words
  std::filesystem::path body;

  // Everything arrived and the server said 200, 201 or 204.
  [[nodiscard]] bool complete() const {
    return exit_code == 0 && (http_status == 200 || http_status == 201 || http_status == 204);
  }

  // "200, 5000000 bytes in 0.123 s" or what went wrong.
  [[nodiscard]] std::string text() const;
};

// curl's exit code when connecting failed (RST or ICMP), when time ran out, and when a transfer was
// reset.
inline constexpr int curl_refused = 7, curl_timed_out = 28, curl_reset = 56;

// A transfer that runs while the caller does something else.
class Transfer {
public:
  static Result<Transfer> start(const Host& host, const Request& request);
  Result<Response> finish();
  [[nodiscard]] bool running() { return process_.running(); }

  // Bytes of the body on disk so far.
  [[nodiscard]] std::uint64_t bytes_so_far() const;

private:
  Transfer(Process process, Request request, std::filesystem::path body)
      : process_(std::move(process)), request_(std::move(request)), body_(std::move(body)) {}
  Process process_;
  Request request_;
  std::filesystem::path body_;
};

// An error only if curl could not run or the lab was interrupted.
Result<Response> fetch(const Host& host, const Request& request);

} // namespace trap::lab
