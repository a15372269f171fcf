// SPDX-License-Identifier: Apache-2.0
#include "lab/network/tc_programs.h"

#include <net/if.h>

#include <fmt/format.h>

#include "runtime/kernel/tc_filter.h"

namespace trap::lab {

std::vector<std::string> tc_programs(const Host& host, const std::string& interface) {
  std::vector<std::string> programs;
  const InHost inside{host};
  if (!inside.entered())
    return {fmt::format("cannot enter {}", host.name())};
  const unsigned index = if_nametoindex(interface.c_str());
  for (const Direction direction : {Direction::ingress, Direction::egress})
    for (const std::string& name : tc_program_names(index, direction))
      programs.push_back(fmt::format("{} {}", direction_name(direction), name));
  return programs;
}

} // namespace trap::lab
