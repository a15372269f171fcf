// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/metrics_server.h"

#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include "runtime/control/shared_answers.h"
#include "runtime/fd.h"
#include "runtime/net/socket_address.h"
#include "runtime/version.h"

namespace trap {

struct MetricsServer::Running {
  Endpoint where;
  HttpServer server;
};

namespace {

int bind_to(const Fd& fd, const Endpoint& where) {
  const SocketAddress address(where, true);
  return bind(fd.get(), address.get(), address.bytes);
}

// The daemon starts before the network, and the address may come with it: problem() tells if not.
void allow_absent_address(const Fd& fd, const Endpoint& where) {
  const int yes = 1;
  if (family_of(where.address) == TRAP_IPV6)
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, &yes, sizeof(yes));
  else
    setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &yes, sizeof(yes));
}

// No SO_REUSEPORT, with which two daemons would share a port and answer scrapes by chance.
Result<Fd> listen_at(const Endpoint& where) {
  const int yes = 1, no = 0;
  Fd fd(socket(domain_of(family_of(where.address)), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd)
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (fd && family_of(where.address) == TRAP_IPV6) // [::] is every address of the host
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  if (fd)
    allow_absent_address(fd, where);
  if (!fd || bind_to(fd, where) != 0 || listen(fd.get(), SOMAXCONN) != 0)
    return Error{fmt::format("cannot listen at metrics_listen {}: {}: name another address or port",
                             format_endpoint(where), error_text(errno))};
  return fd;
}

HttpAnswer answer(const MetricsHandlers& handlers, const HttpRequest& request) {
  const bool get = request.method == "GET" || request.method == "HEAD";
  if (get && asks_for_readiness(request))
    return answer_ready(handlers.ready, request);
  if (request.path != "/metrics" && request.path != "/")
    return text_answer(404, "metrics for Prometheus are at /metrics");
  if (!get) {
    HttpAnswer refusal = text_answer(405, "metrics are read by GET");
    refusal.allow = "GET, HEAD";
    return refusal;
  }
  if (request.path == "/metrics")
    return answer_metrics(handlers.metrics(), request);
  return text_answer(200, std::string{"TRAP "} + program_version +
                              ": metrics for Prometheus are at /metrics");
}

} // namespace

MetricsServer::MetricsServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
MetricsServer::MetricsServer(MetricsServer&&) noexcept = default;
MetricsServer& MetricsServer::operator=(MetricsServer&&) noexcept = default;
MetricsServer::~MetricsServer() = default;

std::string MetricsServer::problem() const {
  Endpoint any_port = running_->where;
  any_port.port = 0;
  const Fd fd(socket(domain_of(family_of(any_port.address)), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || bind_to(fd, any_port) == 0 || errno != EADDRNOTAVAIL)
    return "";
  return fmt::format("metrics_listen {}: no interface of this host has that address: give it to "
                     "one, or correct it",
                     format_endpoint(running_->where));
}

Result<MetricsServer> MetricsServer::make(const Endpoint& where, MetricsHandlers handlers) {
  auto listener = listen_at(where);
  if (!listener)
    return listener.error();
  auto server = HttpServer::make(std::move(*listener), HttpLimits{},
                                 [handlers = std::move(handlers)](const HttpRequest& request) {
                                   return answer(handlers, request);
                                 });
  if (!server)
    return Error{
        fmt::format("metrics_listen {}: {}", format_endpoint(where), server.error().message)};
  return MetricsServer(std::make_unique<Running>(Running{where, std::move(*server)}));
}

} // namespace trap
