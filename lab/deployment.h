// SPDX-License-Identifier: Apache-2.0
// TRAP deployed in the lab as an administrator would do it: keys made and derived with trapctl, one
// configuration file for each daemon, nginx on the service hosts.
#ifndef TRAP_LAB_DEPLOYMENT_H
#define TRAP_LAB_DEPLOYMENT_H

#include <optional>
#include <string>

#include "lab/daemons.h"
#include "lab/nginx.h"
#include "lab/topology.h"
#include "runtime/result.h"

namespace trap::lab {

inline constexpr int service_port = 80; // public, and protected at the service's host
inline constexpr int open_port = 8080;  // at the service's host, not protected

struct DeploymentPlan {
  bool offer = true;
  std::string option_kind = "reserved";
  bool two_backends = false; // service-2 as well, with a third of the weight of service
};

// One reading of every part's counters.
struct Reading {
  Counters server, guard, client;
};

Reading difference(const Reading& before, const Reading& after);

class Deployment {
public:
  static Result<Deployment> start(const Topology& topology, const DeploymentPlan& plan = {});

  [[nodiscard]] const Topology& topology() const { return *topology_; }
  Daemon& server() { return *server_; }
  Daemon& guard() { return *guard_; }
  Daemon& client() { return *client_; }
  [[nodiscard]] const Nginx& service() const { return *service_; }
  [[nodiscard]] Result<Reading> read() const;

  // http://PUBLIC-ADDRESS/path
  [[nodiscard]] static std::string public_url(Family family, std::string_view path);

private:
  explicit Deployment(const Topology& topology) : topology_(&topology) {}
  Result<void> make_keys();
  Result<void> start_services();
  Result<void> start_daemons(const DeploymentPlan& plan);
  const Topology* topology_;
  std::optional<Nginx> service_, second_service_;
  std::optional<Daemon> server_, guard_, second_guard_, client_;
};

} // namespace trap::lab

#endif
