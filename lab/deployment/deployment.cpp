// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment/deployment.h"

#include <cstdio>
#include <filesystem>

#include <sys/utsname.h>

#include <fmt/format.h>

#include "lab/hosts/listening.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds key_deadline{5000};

Result<void> trapctl(std::vector<std::string> arguments) {
  Command command;
  command.arguments = std::move(arguments);
  command.arguments.insert(command.arguments.begin(), (program_directory() / "trapctl").string());
  auto done = run_checked(command, key_deadline);
  if (!done)
    return done.error();
  return {};
}

Result<void> launch(const DeploymentPlan& plan, std::optional<Daemon>& place, Result<Daemon> made) {
  if (!made)
    return made.error();
  place.emplace(std::move(*made));
  if (plan.former_programs)
    place->run_from(former_program_directory());
  return place->launch();
}

// A program that is ready once it was made.
template <typename Program> Result<void> keep(std::optional<Program>& place, Result<Program> made) {
  if (!made)
    return made.error();
  place.emplace(std::move(*made));
  return {};
}

// Linux 6.9 and later make sockets of TRAP's own cookies.
bool kernel_takes_own_cookies() {
  utsname kernel{};
  int major = 0, minor = 0;
  return uname(&kernel) == 0 && std::sscanf(kernel.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 9));
}

// The kernel's cookies need this of a host that serves clients. TRAP's own need nothing, and get
// nothing, so that a scenario shows it.
Result<void> prepare_for_kernel_cookies(const Host& trap) {
  if (auto set = trap.set("ipv4/tcp_syncookies", "2"); !set)
    return set;
  return trap.set("ipv4/tcp_timestamps", "2");
}

} // namespace

Result<Process> start_iperf(const Host& host) {
  Command command = host.command({"iperf3", "--server", "--port", std::to_string(speed_port)});
  command.log = host.directory() / "iperf3.log";
  auto process = Process::start(command);
  if (!process)
    return process.error();
  if (auto listens = wait_until_accepting(host, "127.0.0.1", speed_port); !listens)
    return Error{"iperf3: " + listens.error().message};
  return process;
}

Reading difference(const Reading& before, const Reading& after) {
  return {difference(before.server, after.server), difference(before.guard, after.guard),
          difference(before.client, after.client)};
}

Result<Deployment> Deployment::start(const Topology& topology, const DeploymentPlan& plan) {
  Deployment deployment{topology, plan};
  if (auto made = deployment.make_keys(); !made)
    return made.error();
  if (!plan.started)
    return deployment;
  if (auto launched = deployment.launch_daemons(); !launched)
    return launched.error();
  if (auto started = deployment.start_services(); !started)
    return started.error();
  if (auto started = deployment.start_serving(); !started)
    return started.error();
  if (auto ready = deployment.wait_for_daemons(); !ready)
    return ready.error();
  return deployment;
}

Result<void> Deployment::make_keys() {
  if (auto made = trapctl({"key", "generate", master_key_file()}); !made)
    return made;
  for (const std::string_view host : {"service", "service-2"})
    if (auto made = trapctl({"key", "derive", std::string{guard_of(host)}, "--master",
                             master_key_file(), "--output", guard_key_file(host)});
        !made)
      return made;
  return {};
}

Result<void> Deployment::replace_keys() {
  std::error_code failed;
  for (const std::string& file :
       {master_key_file(), guard_key_file("service"), guard_key_file("service-2")})
    if (!std::filesystem::remove(file, failed))
      return Error{"cannot remove " + file};
  return make_keys();
}

Result<void> Deployment::start_services() {
  if (auto started = start_nginx("service"); !started)
    return started;
  return start_nginx("service-2");
}

Result<void> Deployment::start_nginx(std::string_view host) {
  if (host == "service")
    return keep(service_, Nginx::start(topology_->host(host), {service_port, open_port}));
  return keep(second_service_, Nginx::start(topology_->host(host), {service_port}));
}

void Deployment::stop_nginx(std::string_view host) {
  (host == "service" ? service_ : second_service_).reset();
}

// What serves clients without a module: the service itself on the TRAP host, or a relay there and
// more services behind it.
Result<void> Deployment::start_serving() {
  const Host& trap = topology_->host("trap");
  if (!plan_.serves())
    return {};
  if (plan_.kernel_cookies || !kernel_takes_own_cookies())
    if (auto prepared = prepare_for_kernel_cookies(trap); !prepared)
      return prepared;
  if (plan_.more_services)
    if (auto kept = keep(
            sshd_, Sshd::start(topology_->host(plan_.backends ? "service" : "trap"), shell_port));
        !kept)
      return kept;
  if (!plan_.backends)
    return keep(own_service_, Nginx::start(trap, {service_port}));
  if (plan_.more_services)
    if (auto kept = keep(iperf_, start_iperf(topology_->host("service"))); !kept)
      return kept;
  return keep(relay_, Relay::start(trap, plan_.relay, ports_of(plan_)));
}

// The kernel verifies their programs while everything else starts.
Result<void> Deployment::launch_daemons() {
  if (auto launched = launch(plan_, client_,
                             Daemon::prepare(DaemonKind::client, topology_->host("client"),
                                             "allow_private_targets = false\n"));
      !launched)
    return launched;
  if (auto launched = launch(plan_, guard_,
                             Daemon::prepare(DaemonKind::guard, topology_->host("service"),
                                             guard_text(plan_, "service")));
      !launched)
    return launched;
  if (plan_.two_backends)
    if (auto launched = launch(plan_, second_guard_,
                               Daemon::prepare(DaemonKind::guard, topology_->host("service-2"),
                                               guard_text(plan_, "service-2")));
        !launched)
      return launched;
  return launch(plan_, server_,
                Daemon::prepare(DaemonKind::server, topology_->host("trap"), server_text(plan_)));
}

Result<void> Deployment::wait_for_daemons() {
  for (std::optional<Daemon>* daemon : {&guard_, &second_guard_, &server_, &client_})
    if (*daemon)
      if (auto ready = (*daemon)->wait_until_ready(); !ready)
        return ready;
  return {};
}

Result<Reading> Deployment::read() const {
  auto server = server_->counters(), guard = guard_->counters(), client = client_->counters();
  for (const auto* counters : {&server, &guard, &client})
    if (!*counters)
      return counters->error();
  return Reading{std::move(*server), std::move(*guard), std::move(*client)};
}

std::string Deployment::public_url(Family family, std::string_view path) {
  return fmt::format("http://{}{}", endpoint(addresses_of("trap").address(family), service_port),
                     path);
}

} // namespace trap::lab
