// SPDX-License-Identifier: Apache-2.0
// A connection to the service at its public address that stays silent until it is told to ask for a
// page.
#pragma once

#include <filesystem>

#include "lab/hosts/addresses.h"
#include "lab/hosts/host.h"
#include "lab/hosts/process.h"

namespace trap::lab {

class IdleConnection {
public:
  // Returns when it is established.
  static Result<IdleConnection> start(const Host& host, Family family);

  // Asks, and waits for the end; the answer is what it prints.
  Result<Finished> speak();

private:
  IdleConnection(std::filesystem::path told, Process process)
      : told_(std::move(told)), process_(std::move(process)) {}
  std::filesystem::path told_;
  Process process_;
};

} // namespace trap::lab
