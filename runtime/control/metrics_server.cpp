// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/metrics_server.h"

#include <cerrno>
#include <sys/socket.h>

#include <fmt/core.h>

#include "runtime/control/http.h"
#include "runtime/version.h"

namespace trap {

struct MetricsServer::Running {
  HttpThread server;
};

MetricsServer::MetricsServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
MetricsServer::MetricsServer(MetricsServer&&) noexcept = default;
MetricsServer& MetricsServer::operator=(MetricsServer&&) noexcept = default;
MetricsServer::~MetricsServer() = default;

Result<MetricsServer> MetricsServer::make(const Endpoint& where,
                                          std::function<std::string()> metrics) {
  auto running = std::make_unique<Running>();
  httplib::Server& http = running->server.http;
  http.set_address_family(family_of(where.address) == TRAP_IPV4 ? AF_INET : AF_INET6);
  // The library would set SO_REUSEPORT, with which two daemons share a port and answer scrapes by
  // chance.
  http.set_socket_options([](socket_t socket) {
    int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  http.Get("/metrics",
           [metrics = std::move(metrics)](const httplib::Request&, httplib::Response& response) {
             response.set_content(metrics(), kMetricsType);
           });
  http.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content(std::string{"TRAP "} + program_version +
                             ": metrics for Prometheus are at /metrics\n",
                         "text/plain");
  });
  errno = 0;
  if (!http.bind_to_port(format_address(where.address), where.port))
    return Error{fmt::format("cannot listen at metrics_listen {}: {}: name another address or port",
                             format_endpoint(where),
                             errno ? error_text(errno) : "the address cannot be used")};
  running->server.run();
  return MetricsServer(std::move(running));
}

} // namespace trap
