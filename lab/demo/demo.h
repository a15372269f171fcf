// SPDX-License-Identifier: Apache-2.0
// The demo's first part: downloads through TRAP, calm and flooded, and a host that is kept out.
#pragma once

#include <string>
#include <vector>

#include "lab/demo/report.h"
#include "lab/deployment/deployment.h"
#include "lab/deployment/visit.h"
#include "lab/hosts/terminal.h"
#include "runtime/result.h"

namespace trap::lab {

class Demo {
public:
  Demo(Deployment& deployment, const Terminal& terminal);

  // Every step, in order. An error only if one could not be carried out at all.
  Result<void> play();

  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  [[nodiscard]] bool every_step_behaved() const;

private:
  Result<void> calm_downloads();
  Result<void> downloads_under(std::string_view victim, std::string_view name,
                               std::string_view title);
  Result<void> visit(VisitKind which, Family family, std::string_view name, std::string_view title,
                     const Flood* flood);
  Result<void> stranger(Family family);
  void conclude(Step step);

  Deployment* deployment_;
  const Terminal* terminal_;
  std::vector<Step> steps_;
};

// A sentence made of the measured figures.
std::string demo_summary(const std::vector<Step>& steps);

} // namespace trap::lab
