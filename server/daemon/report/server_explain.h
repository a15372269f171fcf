// SPDX-License-Identifier: Apache-2.0
// trap-server's answer to POST /explain: a twin of the program gives the verdict, and the daemon
// gives the reasons.
#pragma once

#include <string>
#include <vector>

#include "dataplane/packet.h"
#include "runtime/control/explain_json.h"
#include "runtime/kernel/program.h"
#include "server/daemon/running/running_server.h"

struct trap_server;

namespace trap::server {

class ServerExplainer {
public:
  // `server` outlives this.
  explicit ServerExplainer(const RunningServer& server);
  ~ServerExplainer();

  Result<std::string> explain(const ExplainRequest& request);

private:
  Result<void> load_twin();
  Frame addressed(Frame frame) const;
  std::string limit_of(trap_verdict verdict, const ServiceConfig& service) const;
  std::vector<std::string> reasons_of(const Explained& explained, const PlannedService& planned,
                                      const trap_packet& packet) const;

  const RunningServer& server_;
  Program<trap_server> twin_; // loaded for the first packet that is to be explained
};

} // namespace trap::server
