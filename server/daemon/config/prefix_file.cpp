// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/prefix_file.h"

#include <fmt/core.h>

#include "runtime/fd.h"

namespace trap::server {
namespace {

constexpr std::size_t prefix_file_limit_bytes = 64 << 20; // a million prefixes, with a comment each

std::string_view trimmed(std::string_view text) {
  constexpr const char* blank_characters = " \t\r";
  const std::size_t first = text.find_first_not_of(blank_characters);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blank_characters) - first + 1);
}

} // namespace

Result<std::vector<PrefixLine>> parse_prefixes(std::string_view text, const std::string& path) {
  std::vector<PrefixLine> prefixes;
  for (unsigned line = 1; !text.empty(); line++) {
    const std::size_t end = text.find('\n');
    std::string_view rest = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    rest = trimmed(rest.substr(0, rest.find('#')));
    if (rest.empty())
      continue;
    auto prefix = parse_prefix(rest);
    if (!prefix) // without a word of the line: the file may be another than was meant
      return Error{fmt::format("{}:{}: no address and no prefix: write one a line, such as "
                               "192.0.2.0/24 or 2001:db8::/48, without bits behind its length",
                               path, line),
                   ExitCode::usage};
    prefixes.push_back({*prefix, line});
  }
  return prefixes;
}

Result<std::vector<PrefixLine>> read_prefix_file(const std::string& path) {
  auto text = read_file(path, prefix_file_limit_bytes, FileTrust::list);
  if (!text)
    return text.error();
  return parse_prefixes(*text, path);
}

} // namespace trap::server
