// SPDX-License-Identifier: Apache-2.0
// Two more TRAP servers beside a deployment's: the same public addresses and the same master key,
// and nothing else in common. The router spreads packets over all three, and knows nothing of TRAP.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "lab/deployment/deployment.h"

struct lab_spray;

namespace trap::lab {

enum class Spreading {
  spray, // SYN and ACK of each connection to different servers
  ecmp,  // equal-cost routes, by the kernel's hash of a connection
};

class ServerFleet {
public:
  static constexpr int size = 3;

  static Result<std::unique_ptr<ServerFleet>> start(Deployment& deployment);
  ~ServerFleet();
  ServerFleet(const ServerFleet&) = delete;
  ServerFleet& operator=(const ServerFleet&) = delete;

  // CONFIG_IP_ROUTE_MULTIPATH
  static bool kernel_has_ecmp();
  Result<void> spread(Spreading how);

  // Of each server.
  [[nodiscard]] Result<std::array<Counters, size>> counters();

  // The last server's daemon is killed and its link goes down, as if its host had lost power; the
  // router goes on sending to it.
  Result<void> lose_last();
  // The router learns of it.
  Result<void> withdraw_last();

private:
  explicit ServerFleet(Deployment& deployment) : deployment_(&deployment) {}
  Result<void> add_host(int number);
  Result<void> attach_spray();
  Result<void> route(int members);
  void set_members(int count);
  [[nodiscard]] const Host& router() const { return deployment_->topology().host("router"); }

  Deployment* deployment_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<Daemon>> daemons_;
  lab_spray* spray_ = nullptr;
  Spreading how_ = Spreading::spray;
};

// Connections from the client that has to ask for its redirect each time, one after the other.
struct FleetLoad {
  std::vector<double> seconds; // each from connect to the end of the answer
  int failures = 0;
  std::string first_failure;

  [[nodiscard]] double slowest_s() const;
  [[nodiscard]] std::string text() const;
};

// `count` connections, or, if it is 0, until `enough`.
FleetLoad ask_each_time(Deployment& deployment, Family family, int count,
                        const std::atomic<bool>& enough);

// Such connections go on in both families while the last server is lost and, when the router learns
// of it, a while longer.
std::array<FleetLoad, 2> lose_last_under_load(Deployment& deployment, ServerFleet& fleet);

} // namespace trap::lab
