// SPDX-License-Identifier: Apache-2.0
// The main program that trap-server, trap-guard and trap-client share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/config/key_facts.h"
#include "runtime/process/part.h"

namespace trap {

struct Daemon {
  std::string part; // "server": the program is trap-server, its configuration /etc/trap/server.toml
  std::string description;
  Result<std::unique_ptr<Part>> (*read)(const std::string& config_path);
  std::unique_ptr<Part> (*unconfigured)(); // to be detached where its configuration is lost
  std::vector<KeyFacts> keys;              // of its configuration, for --list-keys
};

// Returns the exit code.
int run_daemon(const Daemon& daemon, int argc, char** argv);

} // namespace trap
