// SPDX-License-Identifier: Apache-2.0
// A connection to the service at its public address that says nothing until it is told to; then it asks for a page.
#ifndef TRAP_LAB_IDLE_CONNECTION_H
#define TRAP_LAB_IDLE_CONNECTION_H

#include <filesystem>

#include "lab/process.h"
#include "lab/topology.h"

namespace trap::lab {

class IdleConnection {
public:
  // Returns when it is established.
  static Result<IdleConnection> start(const Host& host, Family family);

  // Asks, and waits for the end; the answer is what it prints.
  Result<Finished> speak();

private:
  IdleConnection(std::filesystem::path told, Process process) : told_(std::move(told)), process_(std::move(process)) {}
  std::filesystem::path told_;
  Process process_;
};

} // namespace trap::lab

#endif
