// SPDX-License-Identifier: Apache-2.0
// GET /metrics over TCP, for Prometheus (metrics_listen in the configuration). It tells what the
// control socket's /metrics tells and takes no commands. Served by a thread of its own, within the
// bounds of runtime/control/http_server.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/config/endpoint.h"
#include "runtime/result.h"

namespace trap {

class MetricsServer {
public:
  // `metrics` is called from the server's thread.
  static Result<MetricsServer> make(const Endpoint& where, std::function<std::string()> metrics);

  MetricsServer(MetricsServer&&) noexcept;
  MetricsServer& operator=(MetricsServer&&) noexcept;
  ~MetricsServer();

private:
  struct Running;
  explicit MetricsServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

} // namespace trap
