// SPDX-License-Identifier: Apache-2.0
// trap-guard's answer to POST /explain: a twin of the program gives the verdict, maps and
// configuration give the reasons.
#pragma once

#include <string>
#include <vector>

#include "dataplane/packet.h"
#include "guard/daemon/running/running_guard.h"
#include "runtime/control/explain_json.h"

namespace trap::guard {

class GuardExplainer {
public:
  // `guard` outlives this.
  explicit GuardExplainer(const RunningGuard& guard);
  ~GuardExplainer();

  Result<std::string> explain(const ExplainRequest& request);

private:
  Result<void> load_twin();
  std::vector<std::string> reasons_of(const ExplainRequest& request,
                                      const trap_packet& packet) const;

  const RunningGuard& guard_;
  Program<trap_guard> twin_; // loaded for the first packet that is to be explained
};

} // namespace trap::guard
