// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment.h"

#include <fmt/format.h>

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds key_deadline{5000};
constexpr std::string_view guard_name = "web-1", second_guard_name = "web-2";

std::string master_key_file() {
  return (std::filesystem::path{lab_directory} / "trap/master.key").string();
}

std::string guard_key_file(std::string_view host) {
  return (std::filesystem::path{lab_directory} / host / "guard.key").string();
}

std::string backend_text(std::string_view host, std::string_view guard, int weight) {
  std::string text;
  for (const Family family : families)
    text += fmt::format("  [[service.backend]]\n"
                        "  address = \"{}\"\n"
                        "  guard = \"{}\"\n"
                        "  weight = {}\n"
                        "  ticket_lifetime_s = 600\n",
                        endpoint(place_of(host).address(family), service_port), guard, weight);
  return text;
}

std::string server_text(const DeploymentPlan& plan) {
  const Place& trap = place_of("trap");
  std::string text =
      fmt::format("xdp_mode = \"native\"\n"
                  "master_key_file = \"{}\"\n"
                  "option_kind = \"{}\"\n"
                  "[[service]]\n"
                  "name = \"web\"\n"
                  "addresses = [\"{}\", \"{}\"]\n"
                  "unaware = \"reset\"\n"
                  "offer = {}\n",
                  master_key_file(), plan.option_kind, endpoint(trap.ipv4, service_port), endpoint(trap.ipv6, service_port), plan.offer);
  text += backend_text("service", guard_name, plan.two_backends ? 3 : 1);
  if (plan.two_backends)
    text += backend_text("service-2", second_guard_name, 1);
  return text;
}

std::string guard_text(std::string_view host) {
  const Place& trap = place_of("trap");
  return fmt::format("xdp_mode = \"native\"\n"
                     "secret_file = \"{}\"\n"
                     "trap_servers = [\"{}\", \"{}\"]\n"
                     "[[service]]\n"
                     "name = \"web\"\n"
                     "port = {}\n",
                     guard_key_file(host), trap.ipv4, trap.ipv6, service_port);
}

Result<void> trapctl(std::vector<std::string> arguments) {
  Command command;
  command.arguments = std::move(arguments);
  command.arguments.insert(command.arguments.begin(), (program_directory() / "trapctl").string());
  auto done = run_checked(command, key_deadline);
  if (!done)
    return done.error();
  return {};
}

Result<void> keep(std::optional<Daemon>& place, Result<Daemon> made) {
  if (!made)
    return made.error();
  place.emplace(std::move(*made));
  return place->start();
}

Result<void> keep(std::optional<Nginx>& place, Result<Nginx> made) {
  if (!made)
    return made.error();
  place.emplace(std::move(*made));
  return {};
}

} // namespace

Reading difference(const Reading& before, const Reading& after) {
  return {difference(before.server, after.server), difference(before.guard, after.guard), difference(before.client, after.client)};
}

Result<Deployment> Deployment::start(const Topology& topology, const DeploymentPlan& plan) {
  Deployment deployment{topology};
  if (auto made = deployment.make_keys(); !made)
    return made.error();
  if (auto started = deployment.start_services(); !started)
    return started.error();
  if (auto started = deployment.start_daemons(plan); !started)
    return started.error();
  return deployment;
}

Result<void> Deployment::make_keys() {
  if (auto made = trapctl({"key", "generate", master_key_file()}); !made)
    return made;
  for (const auto& [host, guard] : {std::pair{"service", guard_name}, std::pair{"service-2", second_guard_name}})
    if (auto made = trapctl({"key", "derive", std::string{guard}, "--master", master_key_file(), "--output", guard_key_file(host)}); !made)
      return made;
  return {};
}

Result<void> Deployment::start_services() {
  if (auto kept = keep(service_, Nginx::start(topology_->host("service"), {service_port, open_port})); !kept)
    return kept;
  return keep(second_service_, Nginx::start(topology_->host("service-2"), {service_port}));
}

Result<void> Deployment::start_daemons(const DeploymentPlan& plan) {
  if (auto kept = keep(guard_, Daemon::prepare(Part::guard, topology_->host("service"), guard_text("service"))); !kept)
    return kept;
  if (plan.two_backends) {
    if (auto kept = keep(second_guard_, Daemon::prepare(Part::guard, topology_->host("service-2"), guard_text("service-2"))); !kept)
      return kept;
  }
  if (auto kept = keep(server_, Daemon::prepare(Part::server, topology_->host("trap"), server_text(plan))); !kept)
    return kept;
  return keep(client_, Daemon::prepare(Part::client, topology_->host("client"), "allow_private_targets = false\n"));
}

Result<Reading> Deployment::read() const {
  auto server = server_->counters(), guard = guard_->counters(), client = client_->counters();
  for (const auto* counters : {&server, &guard, &client})
    if (!*counters)
      return counters->error();
  return Reading{std::move(*server), std::move(*guard), std::move(*client)};
}

std::string Deployment::public_url(Family family, std::string_view path) {
  return fmt::format("http://{}{}", endpoint(place_of("trap").address(family), service_port), path);
}

} // namespace trap::lab
