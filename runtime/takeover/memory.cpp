// SPDX-License-Identifier: Apache-2.0
#include "runtime/takeover/memory.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "runtime/takeover/map_layout.h"

namespace trap {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t of_no_account = 64 * mib;

std::optional<std::uint64_t> number_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string word;
  std::uint64_t number = 0;
  if (!(in >> word))
    return std::nullopt;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc{} ? std::optional(number) : std::nullopt; // "max" is no number
}

std::optional<std::uint64_t> available_on_host(const MemorySources& sources) {
  std::ifstream in(sources.meminfo);
  for (std::string name; in >> name;) {
    std::uint64_t kib = 0;
    if (name == "MemAvailable:" && in >> kib)
      return kib * 1024;
  }
  return std::nullopt;
}

// Empty without the unified hierarchy.
std::filesystem::path own_group(const MemorySources& sources) {
  std::ifstream in(sources.own_group);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("0::/"))
      return std::filesystem::path(sources.groups) / line.substr(4);
  return {};
}

} // namespace

std::uint64_t bytes_of_maps(const bpf_object* object) {
  std::uint64_t bytes = 0;
  const bpf_map* map;
  bpf_object__for_each_map(map, object) {
    bytes += bytes_of(layout_of(object, map));
  }
  return bytes;
}

Result<void> check_memory(std::uint64_t bytes, const std::string& what,
                          const MemorySources& sources) {
  if (bytes < of_no_account)
    return {};
  if (const auto available = available_on_host(sources); available && *available < bytes)
    return Error{fmt::format("{} need {} MiB of memory, and this host has {} MiB: make max_clients "
                             "and max_flows smaller, or stop what else uses its memory",
                             what, bytes / mib, *available / mib),
                 ExitCode::usage};
  for (std::filesystem::path group = own_group(sources);
       group.string().starts_with(sources.groups + "/"); group = group.parent_path()) {
    const auto most = number_in(group / "memory.max");
    const auto now = number_in(group / "memory.current");
    if (most && now && *now + bytes > *most)
      return Error{fmt::format("{} need {} MiB of memory, and {} leaves {} MiB: make max_clients "
                               "and max_flows smaller, or raise MemoryMax of the unit",
                               what, bytes / mib, (group / "memory.max").string(),
                               *most > *now ? (*most - *now) / mib : 0),
                   ExitCode::usage};
  }
  return {};
}

} // namespace trap
