// SPDX-License-Identifier: Apache-2.0
// Budgets of admitted clients: the [[class]] tables of trap-guard's configuration.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "guard/maps.h"
#include "runtime/config/config_table.h"

namespace trap::guard {

// What an admitted client may do; 0: no limit.
struct ClassConfig {
  std::string name = "default";
  std::vector<std::uint8_t> tags; // of class "default": those that are its own by name; it has all
                                  // that no other class has
  std::uint64_t syns_per_s = 1000;
  std::uint64_t packets_per_s = 1000000;
  std::uint64_t bytes_per_s = 1250000000;
  std::uint32_t flows = 65536; // open at once
};

// Class "default" comes first, whether the file has it or not.
std::vector<ClassConfig> read_classes(ConfigTable& table);

// Map `classes`: an entry for each tag.
std::array<trap_guard_class, TRAP_GUARD_TAGS>
classes_by_tag(const std::vector<ClassConfig>& classes);

// "gold(1000/s,1000000p/s,1250000000B/s,65536,tags 1+2)": SYNs, packets, bytes, flows; for what a
// reload changed.
std::string format_class(const ClassConfig& config);

} // namespace trap::guard
