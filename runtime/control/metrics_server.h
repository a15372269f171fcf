// SPDX-License-Identifier: Apache-2.0
// GET /metrics and GET /ready over TCP, for Prometheus and for routers (metrics_listen in the
// configuration). It tells what the control socket tells there and takes no commands. Served by a
// thread of its own, within the bounds of runtime/control/http_server.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/config/endpoint.h"
#include "runtime/control/readiness.h"
#include "runtime/result.h"

namespace trap {

// Called from the server's thread.
struct MetricsHandlers {
  std::function<std::string()> metrics;
  std::function<ReadyAnswer(const std::string& service)> ready;
};

class MetricsServer {
public:
  static Result<MetricsServer> make(const Endpoint& where, MetricsHandlers handlers);

  // One line while nobody can reach it, else empty.
  std::string problem() const;

  MetricsServer(MetricsServer&&) noexcept;
  MetricsServer& operator=(MetricsServer&&) noexcept;
  ~MetricsServer();

private:
  struct Running;
  explicit MetricsServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

} // namespace trap
