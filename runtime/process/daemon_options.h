// SPDX-License-Identifier: Apache-2.0
// Command line of the three daemons.
#pragma once

#include <optional>
#include <string>

#include "runtime/log.h"
#include "runtime/result.h"

namespace trap {

struct DaemonOptions {
  std::string config_path;
  bool check_config = false;
  bool detach = false;
  bool note_types = false;
  bool share_control = false;
  bool reload = false;
  bool closing_rules = false; // of trap-guard alone
  bool list_keys = false;
  bool json = false; // of --list-keys
  log::Level log_level = log::Level::info;
};

// Of the configuration, without --config.
std::string usual_config_path(const std::string& part);

// The options, or the exit code of a command line that was wrong or only asked for --help or
// --version.
std::variant<DaemonOptions, ExitCode> parse_daemon_options(const std::string& part,
                                                           const std::string& description, int argc,
                                                           char** argv);

} // namespace trap
