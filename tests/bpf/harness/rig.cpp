// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/harness/rig.h"

#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <string_view>
#include <tuple>

namespace trap::test {
namespace {

constexpr std::uint64_t ns_per_s = 1'000'000'000;

} // namespace

Object& fresh_object(const Rig& rig, const TestConstants& constants, bool experimental,
                     bool small) {
  static std::map<std::tuple<std::string, bool, bool>, std::unique_ptr<Object>> objects;
  std::unique_ptr<Object>& object = objects[{rig.part, experimental, small}];
  if (object) {
    object->restore();
  } else {
    object = rig.load(experimental, small);
    rig.configure(*object, constants);
    rig.set_time(*object, constants, constants.moment("now"));
    object->remember();
  }
  rig.set_time(*object, constants, constants.moment("now")); // which passes
  return *object;
}

Object& twin_object(const Rig& rig, const TestConstants& constants, bool experimental) {
  static std::map<std::pair<std::string, bool>, std::unique_ptr<Object>> twins;
  std::unique_ptr<Object>& twin = twins[{rig.part, experimental}];
  if (!twin)
    twin = rig.load_twin(experimental, fresh_object(rig, constants, experimental));
  return *twin;
}

std::uint64_t coarse_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * ns_per_s +
         static_cast<std::uint64_t>(now.tv_nsec);
}

trap_clock_anchor anchor_at(const Json& moment) {
  return {.monotonic_ns = coarse_ns(), .unix_ns = moment["unix_ns"], .unix_s = moment["unix_s"]};
}

trap_clock_anchor anchor_in(std::uint64_t epoch) {
  const std::uint64_t unix_s = ((epoch << TRAP_EPOCH_SHIFT) + ns_per_s) / ns_per_s + 1;
  return {.monotonic_ns = coarse_ns(), .unix_ns = unix_s * ns_per_s, .unix_s = unix_s};
}

std::string quoted(const TestConstants& constants, const std::string& name, int family,
                   const std::string& port) {
  const std::string address = constants.text("address.v" + std::to_string(family) + "." + name);
  if (port.empty())
    return "\"" + address + "\"";
  return family == 4 ? "\"" + address + ":" + port + "\"" : "\"[" + address + "]:" + port + "\"";
}

std::string fill_in(const TestConstants& constants, const std::string& text,
                    const std::map<std::string, std::string>& texts) {
  std::string filled;
  std::size_t at = 0;
  for (;;) {
    const std::size_t open = text.find('{', at), close = text.find('}', open);
    filled += text.substr(at, open - at);
    if (open == std::string::npos)
      return filled;
    const std::string word = text.substr(open + 1, close - open - 1);
    at = close + 1;
    if (const auto found = texts.find(word); found != texts.end()) {
      filled += found->second;
      continue;
    }
    const std::size_t colon = word.find(':');
    const std::string port = colon == std::string::npos ? "" : word.substr(colon + 1);
    const std::string name = word.substr(0, colon);
    filled += quoted(constants, name, 4, port) + ", " + quoted(constants, name, 6, port);
  }
}

ConfigurationFile::ConfigurationFile(const std::string& text)
    : path_(std::filesystem::temp_directory_path() / "trap-test-XXXXXX") {
  const int fd = mkstemp(path_.data());
  if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error("cannot write a configuration to " + path_);
  close(fd);
}

ConfigurationFile::~ConfigurationFile() {
  unlink(path_.c_str());
}

void shrink_maps(bpf_object* object, std::uint32_t slots) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string_view name = bpf_map__name(map);
    if (bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH)
      bpf_map__set_max_entries(map, 1024);
    else if (name == "counters" || name == "monitored")
      bpf_map__set_max_entries(map, slots * TRAP_VERDICT_SLOTS);
  }
}

} // namespace trap::test
