// SPDX-License-Identifier: Apache-2.0
// TRAP deployed in the lab as an administrator would do it: keys made and derived with trapctl, one
// configuration file for each daemon, nginx on the service hosts.
#pragma once

#include <optional>
#include <string>

#include "lab/deployment/configuration.h"
#include "lab/deployment/daemons.h"
#include "lab/network/topology.h"
#include "lab/programs/nginx.h"
#include "lab/programs/relay.h"
#include "lab/programs/sshd.h"
#include "runtime/result.h"

namespace trap::lab {

// iperf3's server on all addresses of a host, ready when it accepts connections.
Result<Process> start_iperf(const Host& host);

// One reading of every part's counters.
struct Reading {
  Counters server, guard, client;
};

Reading difference(const Reading& before, const Reading& after);

class Deployment {
public:
  static Result<Deployment> start(const Topology& topology, const DeploymentPlan& plan = {});

  [[nodiscard]] const Topology& topology() const { return *topology_; }
  [[nodiscard]] const DeploymentPlan& plan() const { return plan_; }
  Daemon& server() { return *server_; }
  Daemon& guard() { return *guard_; }
  Daemon& client() { return *client_; }
  [[nodiscard]] const Nginx& service() const { return *service_; }
  [[nodiscard]] const Sshd& sshd() const { return *sshd_; } // where plan().more_services
  [[nodiscard]] Result<Reading> read() const;

  // Another master key, and the guards' secrets that follow from it, in the files of server and
  // guards.
  Result<void> replace_keys();

  // nginx of "service" or "service-2".
  Result<void> start_nginx(std::string_view host);
  void stop_nginx(std::string_view host);

  // http://PUBLIC-ADDRESS/path
  [[nodiscard]] static std::string public_url(Family family, std::string_view path);

private:
  Deployment(const Topology& topology, DeploymentPlan plan)
      : topology_(&topology), plan_(std::move(plan)) {}
  Result<void> make_keys();
  Result<void> start_services();
  Result<void> start_serving();
  Result<void> launch_daemons();
  Result<void> wait_for_daemons();
  const Topology* topology_;
  DeploymentPlan plan_;
  std::optional<Nginx> service_, second_service_, own_service_;
  std::optional<Sshd> sshd_;
  std::optional<Process> iperf_;
  std::optional<Relay> relay_;
  std::optional<Daemon> server_, guard_, second_guard_, client_;
};

} // namespace trap::lab
