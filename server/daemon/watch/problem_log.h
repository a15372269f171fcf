// SPDX-License-Identifier: Apache-2.0
// One line in the log when a problem comes and one when it goes, however long it lasts.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "runtime/log.h"

namespace trap::server {

class ProblemLog {
public:
  void note(const std::vector<std::string>& problems) {
    const std::set<std::string> now(problems.begin(), problems.end());
    for (const std::string& problem : now) {
      if (!known_.contains(problem))
        log::warn("{}", problem);
    }
    for (const std::string& problem : known_) {
      if (!now.contains(problem))
        log::info("no longer so: {}", problem);
    }
    known_ = now;
  }

private:
  std::set<std::string> known_;
};

} // namespace trap::server
