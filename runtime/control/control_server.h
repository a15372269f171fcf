// SPDX-License-Identifier: Apache-2.0
// The control socket: HTTP on a Unix stream socket of mode 0600, or 0660 for a group that may read
// (runtime/control/control_access.h). GET /status, /metrics, /ready, POST /reload, POST /explain (a
// frame), POST /WORD/WORD... Served by a thread of its own (runtime/control/http_server.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/control/readiness.h"
#include "runtime/result.h"

namespace trap {

struct ExplainRequest;

// Answers to requests; called from the server's thread. An error becomes {"error": its line}:
// with ExitCode::usage as HTTP status 400, with not_running (there is no such thing) as 404, else
// as 500.
struct ControlHandlers {
  std::function<std::string()> status;  // JSON
  std::function<std::string()> metrics; // Prometheus' text format
  std::function<ReadyAnswer(const std::string& service)> ready;
  std::function<Result<std::string>()> reload; // one line, answered as {"reloaded": line}
  std::function<Result<std::string>(const std::vector<std::string>& words)> command; // JSON
  std::function<Result<std::string>(const ExplainRequest& request)> explain;         // JSON
};

class ControlServer {
public:
  // `group`: a name or number, or empty for root alone. A group that cannot be let in is a
  // problem() and no error: what the daemon protects does not depend on it.
  static Result<ControlServer> make(const std::string& path, const std::string& group,
                                    ControlHandlers handlers);

  std::string problem() const; // one line, as it is now; empty: there is none

  ControlServer(ControlServer&&) noexcept;
  ControlServer& operator=(ControlServer&&) noexcept;
  ~ControlServer(); // stops, and removes the socket

private:
  struct Running;
  explicit ControlServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

} // namespace trap
