// SPDX-License-Identifier: Apache-2.0
// One line in the log when a problem comes and one when it goes, however long it lasts.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace trap {

struct ProblemChanges {
  std::vector<std::string> came, went;
};

class ProblemLog {
public:
  // Compares with the problems of the call before. A problem whose numbers alone have changed, such
  // as a time that is left, has neither come nor gone.
  ProblemChanges compare(const std::vector<std::string>& problems);

  // Logs what compare() says.
  void note(const std::vector<std::string>& problems);

private:
  std::set<std::string> known_;
};

} // namespace trap
