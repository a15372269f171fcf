// SPDX-License-Identifier: Apache-2.0
// The neighbours that a cell puts beside TRAP: a container, and programs of another owner.
#pragma once

#include <optional>
#include <string>

#include "lab/matrix/cells.h"
#include "lab/network/topology.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

class Neighbours {
public:
  explicit Neighbours(const Host& trap) : trap_(&trap) {}

  // What the cell asks for, if anything.
  Result<void> arrive(const Cell& cell);
  Result<void> leave();

  // Null before a cell has asked for it.
  [[nodiscard]] const Host* container() const { return container_ ? &*container_ : nullptr; }

private:
  Result<void> connect_container();
  Result<void> lead_to_container();
  Result<void> route_to_container();
  Result<void> put(const std::string& interface, Fd program);

  const Host* trap_;
  std::optional<Host> container_; // goes with the lab
  Fd program_;                    // at the TRAP host's eth0
  bool is_connected_ = false;
};

} // namespace trap::lab
