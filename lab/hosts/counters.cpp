// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/counters.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace trap::lab {
namespace {

// Pairs of lines: "Tcp: NAME NAME ...", "Tcp: 1 2 ...".
void read_pairs(const char* path, Counters& counters) {
  std::ifstream lines{path};
  for (std::string names, values; std::getline(lines, names) && std::getline(lines, values);) {
    std::istringstream name_stream{names}, value_stream{values};
    std::string group, name, value;
    name_stream >> group;
    value_stream >> value;
    group.pop_back();
    while (name_stream >> name && value_stream >> value)
      counters[fmt::format("{}.{}", group, name)] = std::strtoull(value.c_str(), nullptr, 10);
  }
}

// "Ip6InReceives  17"
void read_lines(const char* path, Counters& counters) {
  std::ifstream lines{path};
  std::uint64_t value = 0;
  for (std::string name; lines >> name >> value;)
    if (const std::size_t six = name.find('6'); six != std::string::npos)
      counters[name.substr(0, six + 1) + "." + name.substr(six + 1)] = value;
}

} // namespace

std::uint64_t count_of(const Counters& counters, std::string_view verdict) {
  const auto found = counters.find(verdict);
  return found == counters.end() ? 0 : found->second;
}

Counters difference(const Counters& before, const Counters& after) {
  Counters moved;
  for (const auto& [verdict, packets] : after)
    if (const std::uint64_t old = count_of(before, verdict); packets > old)
      moved[verdict] = packets - old;
  return moved;
}

std::string text_of(const Counters& counters) {
  std::string text;
  for (const auto& [verdict, packets] : counters)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", verdict, packets);
  return text.empty() ? "nothing moved" : text;
}

Result<Counters> stack_counters(const Host& host) {
  const InHost inside{host};
  if (!inside.entered())
    return Error{"cannot enter " + host.name()};
  Counters counters;
  read_pairs("/proc/thread-self/net/snmp", counters);
  read_pairs("/proc/thread-self/net/netstat", counters);
  read_lines("/proc/thread-self/net/snmp6", counters);
  if (!counters.contains("Tcp.InSegs"))
    return Error{"cannot read what the stack of " + host.name() + " counted"};
  return counters;
}

} // namespace trap::lab
