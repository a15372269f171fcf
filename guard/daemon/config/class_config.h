// SPDX-License-Identifier: Apache-2.0
// Budgets of admitted clients: the [[class]] tables of trap-guard's configuration.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "guard/maps.h"
#include "runtime/config/key.h"

namespace trap::guard {

// Limits of an admitted client; 0: no limit.
struct ClassConfig {
  std::string name = "default";
  std::vector<std::uint8_t> tags; // class "default" also has every tag that no other class has
  std::uint64_t syns_per_s = 1000;
  std::uint64_t packets_per_s = 1000000;
  std::uint64_t bytes_per_s = 1250000000;
  std::uint32_t flows = 65536; // open at once
  // Of all clients of a /24 or /48 together.
  std::uint64_t network_syns_per_s = 10000;
  std::uint64_t network_packets_per_s = 10000000;
  std::uint32_t network_flows = 655360;
};

Keys<ClassConfig> class_keys();

// Checks a class that was read against those before it.
void check_class(ConfigTable& table, const ClassConfig& read,
                 const std::vector<ClassConfig>& others);

// Class "default" first, whether the file has it or not.
void complete_classes(std::vector<ClassConfig>& classes);

// Maps `classes` and `network_classes`: an entry for each tag.
std::array<trap_guard_class, TRAP_GUARD_TAGS>
classes_by_tag(const std::vector<ClassConfig>& classes);
std::array<trap_network_class, TRAP_GUARD_TAGS>
network_classes_by_tag(const std::vector<ClassConfig>& classes);

} // namespace trap::guard
