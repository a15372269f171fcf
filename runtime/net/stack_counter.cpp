// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/stack_counter.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <fmt/core.h>

namespace trap {

// A group has a line of names, and below it one of values; both begin with its own name.
std::optional<std::uint64_t> read_stack_counter(std::string_view group, std::string_view name) {
  std::ifstream file(group.ends_with("Ext") ? "/proc/self/net/netstat" : "/proc/self/net/snmp");
  const std::string prefix = fmt::format("{}:", group);
  std::string names, values, a_name, a_value;
  while (std::getline(file, names) && std::getline(file, values)) {
    if (!names.starts_with(prefix))
      continue;
    std::istringstream names_in(names), values_in(values);
    while (names_in >> a_name && values_in >> a_value)
      if (a_name == name)
        return std::strtoull(a_value.c_str(), nullptr, 10);
  }
  return std::nullopt;
}

} // namespace trap
