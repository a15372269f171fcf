// SPDX-License-Identifier: Apache-2.0
// --reload of a daemon's program, which is ExecReload of its unit: asks the daemon that runs and
// waits for its answer. SIGHUP alone would not tell a reload that was refused from another.
#pragma once

#include <string>

#include "runtime/result.h"

namespace trap {

// The daemon's own word: what changed, or why nothing did.
struct ReloadOutcome {
  ExitCode exit_code = ExitCode::ok;
  std::string line;
};

// Asks the daemon of `part` at its control socket. Where systemd names the daemon's process, by
// MAINPID, only that one is meant, wherever it listens. If it does not answer, it is asked by
// SIGHUP: it reloads, and the error says that the outcome is not known here.
Result<ReloadOutcome> request_reload(const std::string& part, const std::string& configured);

} // namespace trap
