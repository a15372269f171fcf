// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/policy_config.h"

#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "server/daemon/config/prefix_file.h"
#include "server/maps.h"

namespace trap::server {
namespace {

// An entry while it still knows where it was written.
struct WrittenEntry {
  PolicyEntry entry;
  std::uint32_t file = 0;
  unsigned line = 0;
};

struct WrittenPolicies {
  std::vector<PolicyRule> rules;
  std::vector<std::string> files = {};
  std::vector<WrittenEntry> entries = {};

  std::string place(const WrittenEntry& at) const {
    return fmt::format("{}:{}", files[at.file], at.line);
  }
};

PolicyRule read_rule(ConfigTable& table) {
  PolicyRule rule;
  rule.line = table.line();
  const ConfigString action = table.required_string("action");
  if (action.text == "pool")
    rule.action = PolicyAction::pool;
  else if (action.text == "serve")
    rule.action = PolicyAction::serve;
  else if (action.text != "deny")
    table.fail(action.line, fmt::format(R"("action" is "{}": write one of "deny", "serve", "pool")",
                                        action.text));
  const ConfigString pool = table.string_or("pool", "");
  rule.pool = pool.text;
  if (rule.action == PolicyAction::pool && pool.text.empty())
    table.fail(table.line(), R"(action = "pool" needs the name of a pool: add pool = "...")");
  if (rule.action != PolicyAction::pool && !pool.text.empty())
    table.fail(pool.line,
               fmt::format(R"("pool" goes with action = "pool", not with "{}")", action.text));
  return rule;
}

void read_listed(ConfigTable& table, WrittenPolicies& written, std::uint32_t rule) {
  for (const ConfigString& text : table.strings_or_none("prefixes")) {
    auto prefix = parse_prefix(text.text);
    if (!prefix)
      table.fail(text.line, prefix.error().message);
    else
      written.entries.push_back({{*prefix, rule}, 0, text.line});
  }
}

void read_file_of(ConfigTable& table, WrittenPolicies& written, std::uint32_t rule) {
  const ConfigString file = table.string_or("file", "");
  if (file.text.empty())
    return;
  const std::string path = (std::filesystem::path(table.path()).parent_path() / file.text)
                               .string(); // an absolute one stays as it is
  auto lines = read_prefix_file(path);
  if (!lines) {
    table.fail(lines.error());
    return;
  }
  written.files.push_back(path);
  for (const PrefixLine& at : *lines)
    written.entries.push_back(
        {{at.prefix, rule}, static_cast<std::uint32_t>(written.files.size() - 1), at.line});
}

bool comes_before(const WrittenEntry& a, const WrittenEntry& b) {
  if (int order = std::memcmp(a.entry.prefix.address.bytes, b.entry.prefix.address.bytes,
                              sizeof(a.entry.prefix.address.bytes)))
    return order < 0;
  return a.entry.prefix.bits < b.entry.prefix.bits;
}

// Sorts, and keeps one of those that say the same; those that contradict each other are an error.
std::vector<PolicyEntry> unique_entries(ConfigTable& service, WrittenPolicies& written) {
  std::vector<PolicyEntry> entries;
  std::stable_sort(written.entries.begin(), written.entries.end(), comes_before);
  const WrittenEntry* last = nullptr;
  for (const WrittenEntry& at : written.entries) {
    if (!last || !(last->entry.prefix == at.entry.prefix)) {
      entries.push_back(at.entry);
      last = &at;
    } else if (!written.rules[last->entry.rule].does_as(written.rules[at.entry.rule])) {
      service.fail(Error{fmt::format("{}: prefix {} has another action at {}: keep one of them",
                                     written.place(at), format_prefix(at.entry.prefix),
                                     written.place(*last)),
                         ExitCode::usage});
    }
  }
  return entries;
}

} // namespace

PolicyConfig read_policies(ConfigTable& service) {
  WrittenPolicies written;
  written.files.push_back(service.path());
  for (ConfigTable& table : service.tables_or_none("policy")) {
    const auto rule = static_cast<std::uint32_t>(written.rules.size());
    const std::size_t before = written.entries.size();
    written.rules.push_back(read_rule(table));
    read_listed(table, written, rule);
    read_file_of(table, written, rule);
    table.reject_unknown_keys();
    if (written.entries.size() == before && table.string_or("file", "").text.empty())
      table.fail(table.line(),
                 R"(policy without clients: add prefixes = ["192.0.2.0/24"] or file = "...")");
  }
  PolicyConfig config;
  config.entries = unique_entries(service, written);
  config.rules = std::move(written.rules);
  if (config.entries.size() > TRAP_SERVER_MAX_POLICIES)
    service.fail(service.line(), fmt::format("{} client prefixes, but there is room for {}",
                                             config.entries.size(), TRAP_SERVER_MAX_POLICIES));
  return config;
}

} // namespace trap::server
