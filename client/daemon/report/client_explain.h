// SPDX-License-Identifier: Apache-2.0
// trap-client's answer to POST /explain: a twin of the programs gives the verdict, the maps give
// the reasons.
#pragma once

#include <string>
#include <vector>

#include "client/daemon/running/running_client.h"
#include "dataplane/packet.h"
#include "runtime/control/explain_json.h"

namespace trap::client {

class ClientExplainer {
public:
  // `client` outlives this.
  explicit ClientExplainer(const RunningClient& client);
  ~ClientExplainer();

  Result<std::string> explain(const ExplainRequest& request);

private:
  Result<void> load_twin();
  std::vector<std::string> reasons_of(const ExplainRequest& request,
                                      const trap_packet& packet) const;

  const RunningClient& client_;
  Program<trap_client> twin_; // loaded for the first packet that is to be explained
};

} // namespace trap::client
