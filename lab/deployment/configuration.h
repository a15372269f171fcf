// SPDX-License-Identifier: Apache-2.0
// The configuration files of a lab's daemons, as an administrator would write them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/hosts/addresses.h"
#include "lab/hosts/host.h"
#include "lab/programs/relay.h"

namespace trap::lab {

struct DeploymentPlan {
  bool started = true; // else there are keys and hosts, and the scenario starts what it needs
  bool offer = true;
  std::string option_kind = "reserved";
  bool two_backends = false; // service-2 as well
  int first_weight = 3;      // of service, if there are two; service-2 has 1
  std::string second_pool{}; // of service-2, if it is not in the default pool
  int second_tag = 0;        // of its tickets
  int ticket_lifetime_s = 600;

  // The TRAP host serves clients without a module: through a relay, or, with no backends, by
  // itself.
  RelayKind relay = RelayKind::none;
  bool backends = true;
  bool rests = false;         // without backends: TRAP answers in an attack only, as is the default
  bool more_services = false; // sshd and iperf3 beside nginx; without backends sshd alone
  bool applications = false;  // sshd, iperf3, Redis and PostgreSQL have services of their own; the
                              // scenario starts them
  bool kernel_cookies = false; // although this kernel may take TRAP's own
  bool guards_trust = false;   // the TRAP host's inner address: relays, health checks

  bool former_programs = false; // the daemons are those of former_program_directory()

  std::string server_keys{};  // more of server.toml, before its services
  std::string service_keys{}; // more of each service
  std::string backend_keys{}; // more of each backend
  std::string guard_keys{};   // more of guard.toml, before its services
  std::string guarded_keys{}; // more of each service of guard.toml
  std::string policies{};     // [[service.policy]] of the service "web"

  [[nodiscard]] bool serves() const { return !backends || relay != RelayKind::none; }
};

// A service that the lab deploys: "web" at port 80, and others where clients are served.
struct DeployedService {
  std::string_view name;
  int port;
};

std::vector<DeployedService> services_of(const DeploymentPlan& plan);
std::vector<int> ports_of(const DeploymentPlan& plan);

// Which guard a service host runs: "web-1".
std::string_view guard_of(std::string_view host);
std::string server_text(const DeploymentPlan& plan);
std::string guard_text(const DeploymentPlan& plan, std::string_view host);

} // namespace trap::lab
