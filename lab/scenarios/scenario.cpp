// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/scenario.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace trap::lab {
namespace {

constexpr std::string_view chapters[] = {"handover", "serving", "guarding",
                                         "networks", "clients", "daemons"};

std::ptrdiff_t chapter_of(const Registered& one) {
  return std::distance(std::begin(chapters), std::ranges::find(chapters, one.room));
}

// Registrations of all files, in the order in which the linker put them.
std::vector<Registered>& registry() {
  static std::vector<Registered> all;
  return all;
}

std::string_view folder_of(std::string_view path) {
  path = path.substr(0, path.rfind('/'));
  return path.substr(path.rfind('/') + 1);
}

} // namespace

std::string_view name_of(RunClass run_class) {
  switch (run_class) {
  case RunClass::calm:
    return "calm";
  case RunClass::busy:
    return "busy";
  case RunClass::emulated:
    return "emulated";
  case RunClass::slow:
    return "slow";
  case RunClass::matrix:
    return "matrix";
  }
  return "";
}

Registration::Registration(Scenario scenario, const char* file, unsigned line) {
  registry().push_back({std::move(scenario), folder_of(file), file, line});
}

const std::vector<Registered>& scenarios() {
  static const std::vector<Registered> sorted = [] {
    std::vector<Registered> all = std::move(registry());
    std::ranges::sort(all, [](const Registered& a, const Registered& b) {
      return std::tuple{chapter_of(a), a.room, a.file, a.line} <
             std::tuple{chapter_of(b), b.room, b.file, b.line};
    });
    return all;
  }();
  return sorted;
}

} // namespace trap::lab
