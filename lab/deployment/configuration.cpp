// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment/configuration.h"

#include <algorithm>

#include <fmt/format.h>

namespace trap::lab {
namespace {

std::string backend_text(const DeploymentPlan& plan, std::string_view host, int port, int weight,
                         const std::string& pool = {}, int tag = 0) {
  std::string text;
  // Keys that 0.4.0 does not know stay away where they would say nothing.
  const std::string tag_line = tag == 0 ? "" : fmt::format("  tag = {}\n", tag);
  const std::string pool_line = pool.empty() ? "" : fmt::format("  pool = \"{}\"\n", pool);
  for (const Family family : families)
    text += fmt::format("  [[service.backend]]\n"
                        "  address = \"{}\"\n"
                        "  guard = \"{}\"\n"
                        "  weight = {}\n"
                        "  ticket_lifetime_s = {}\n{}{}{}",
                        endpoint(addresses_of(host).address(family), port), guard_of(host), weight,
                        plan.ticket_lifetime_s, tag_line, pool_line, plan.backend_keys);
  return text;
}

// A guard that does not trust the TRAP host drops its health checks. On a slow machine it starts
// late: a backend that had answered two of them before would be down after that.
constexpr std::string_view before_the_guard = "health_rise = 100\n";

std::string service_text(const DeploymentPlan& plan, const DeployedService& service) {
  const HostAddresses& trap = addresses_of("trap");
  std::string text = fmt::format("[[service]]\n"
                                 "name = \"{}\"\n"
                                 "addresses = [\"{}\", \"{}\"]\n",
                                 service.name, endpoint(trap.ipv4, service.port),
                                 endpoint(trap.ipv6, service.port));
  if (plan.backends)
    text += fmt::format("unaware = \"{}\"\noffer = {}\n", plan.serves() ? "serve" : "reset",
                        plan.offer);
  else if (!plan.rests)
    text += "activate = \"always\"\n";
  if (service.port == speed_port) // iperf3 takes a health check for its one client
    text += "health = \"off\"\n";
  else if (plan.backends && !plan.guards_trust &&
           plan.service_keys.find("health") == std::string::npos)
    text += before_the_guard;
  text += plan.service_keys;
  if (plan.backends)
    text += backend_text(plan, "service", service.port, plan.two_backends ? plan.first_weight : 1);
  if (plan.two_backends && service.port == service_port)
    text += backend_text(plan, "service-2", service.port, 1, plan.second_pool, plan.second_tag);
  return service.port == service_port ? text + plan.policies : text;
}

} // namespace

std::vector<DeployedService> services_of(const DeploymentPlan& plan) {
  std::vector<DeployedService> services = {{"web", service_port}};
  if (plan.more_services)
    services.push_back({"shell", shell_port});
  if (plan.more_services && plan.backends)
    services.push_back({"speed", speed_port});
  if (plan.applications)
    services.insert(services.end(), {{"shell", shell_port},
                                     {"speed", speed_port},
                                     {"cache", cache_port},
                                     {"database", database_port}});
  return services;
}

std::vector<int> ports_of(const DeploymentPlan& plan) {
  std::vector<int> ports;
  for (const DeployedService& service : services_of(plan))
    ports.push_back(service.port);
  return ports;
}

std::string_view guard_of(std::string_view host) {
  return host == "service" ? "web-1" : "web-2";
}

// A host that serves by itself needs neither keys nor options: only services.
std::string server_text(const DeploymentPlan& plan) {
  std::string text = "xdp_mode = \"native\"\n";
  if (plan.backends)
    text += fmt::format("master_key_file = \"{}\"\noption_kind = \"{}\"\n", master_key_file(),
                        plan.option_kind);
  if (plan.kernel_cookies)
    text += "cookies = \"kernel\"\n";
  text += plan.server_keys;
  for (const DeployedService& service : services_of(plan))
    text += service_text(plan, service);
  return text;
}

std::string guard_text(const DeploymentPlan& plan, std::string_view host) {
  const HostAddresses& trap = addresses_of("trap");
  std::string text = fmt::format("xdp_mode = \"native\"\n"
                                 "secret_file = \"{}\"\n"
                                 "trap_servers = [\"{}\", \"{}\"]\n",
                                 guard_key_file(host), trap.ipv4, trap.ipv6);
  if (plan.guards_trust)
    text += fmt::format("trusted = [\"{}\", \"{}\"]\n", inner_ipv4, inner_ipv6);
  const auto services = services_of(plan);
  if (std::any_of(services.begin(), services.end(),
                  [](const DeployedService& service) { return service.port == 22; }))
    text += "management_ports = []\n"; // these hosts are not managed
  text += plan.guard_keys;
  for (const DeployedService& service : services)
    text += fmt::format("[[service]]\nname = \"{}\"\nport = {}\n{}", service.name, service.port,
                        plan.guarded_keys);
  return text;
}

} // namespace trap::lab
