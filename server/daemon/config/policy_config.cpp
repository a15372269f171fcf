// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/policy_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/config/part_config.h"
#include "server/daemon/config/backend_config.h"
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

Result<ClientPrefix> parse_client_prefix(const std::string& text) {
  return parse_prefix(text);
}

const Choices<PolicyAction>& actions() {
  static const Choices<PolicyAction> choices = {
      {"deny", PolicyAction::deny}, {"serve", PolicyAction::serve}, {"pool", PolicyAction::pool}};
  return choices;
}

// FNV-1a: tells files apart, no more.
std::string content_of(const std::vector<PrefixLine>& lines) {
  std::uint32_t hash = 2166136261;
  const auto add = [&](std::uint8_t byte) { hash = (hash ^ byte) * 16777619; };
  for (const PrefixLine& at : lines) {
    for (const std::uint8_t byte : at.prefix.address.bytes)
      add(byte);
    add(static_cast<std::uint8_t>(at.prefix.bits));
  }
  return fmt::format("{} prefixes, {:08x}", lines.size(), hash);
}

void check_pool(ConfigTable& table, const PolicyRule& rule) {
  if (rule.action == PolicyAction::pool && rule.pool.empty() && !rule.own_tag())
    table.fail(table.line(), R"(action = "pool" needs the name of a pool, or a tag for clients of )"
                             R"(the default pool: add pool = "...", or tag = 1)");
  if (rule.action != PolicyAction::pool && rule.own_tag())
    table.fail(table.line_of("tag"),
               fmt::format(R"("tag" goes with action = "pool", not with "{}")",
                           name_in(actions(), rule.action)));
  if (rule.action != PolicyAction::pool && !rule.pool.empty())
    table.fail(table.line_of("pool"),
               fmt::format(R"("pool" goes with action = "pool", not with "{}")",
                           name_in(actions(), rule.action)));
}

void note_listed(const ConfigTable& table, const PolicyRule& rule, WrittenPolicies& written) {
  const auto number = static_cast<std::uint32_t>(written.rules.size());
  for (std::size_t i = 0; i < rule.prefixes.size(); i++)
    written.entries.push_back({{rule.prefixes[i], number}, 0, table.line_of("prefixes", i)});
}

void read_file_of(ConfigTable& table, PolicyRule& rule, WrittenPolicies& written) {
  const std::string path = path_beside(table.path(), rule.file);
  auto lines = read_prefix_file(path);
  if (!lines) {
    table.fail(lines.error());
    return;
  }
  rule.file_content = content_of(*lines);
  written.files.push_back(path);
  for (const PrefixLine& at : *lines)
    written.entries.push_back({{at.prefix, static_cast<std::uint32_t>(written.rules.size())},
                               static_cast<std::uint32_t>(written.files.size() - 1),
                               at.line});
}

bool comes_before(const WrittenEntry& a, const WrittenEntry& b) {
  if (int order = std::memcmp(a.entry.prefix.address.bytes, b.entry.prefix.address.bytes,
                              sizeof(a.entry.prefix.address.bytes)))
    return order < 0;
  return a.entry.prefix.bits < b.entry.prefix.bits;
}

// Sorts, and keeps one of several that say the same; a contradiction is an error.
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

Keys<PolicyRule> policy_keys() {
  using P = PolicyRule;
  Key<P> file = string("file", &P::file, file_path(), by_reload,
                       "file of prefixes, one a line; read again by each reload");
  file.show = [show = file.show](const P& rule, View view) {
    ConfigNode node = show(rule, view);
    if (view == View::comparison && !rule.file.empty())
      node.value = fmt::format("{} ({})", rule.file, rule.file_content);
    return node;
  };
  return {required(choice("action", &P::action, actions(), by_reload, "fate of the clients")),
          string("pool", &P::pool, pool_name(), by_reload, "pool of backends for action \"pool\""),
          integer("tag", &P::tag, {P::no_tag, 255}, by_reload,
                  "tag of the clients' tickets and announcements, which chooses the guard's "
                  "[[class]]; -1: the backend's"),
          shown_as_count(strings("prefixes", &P::prefixes,
                                 {.parse = parse_client_prefix,
                                  .format = format_prefix,
                                  .accepted = "addresses and prefixes"},
                                 by_reload, "prefixes of the clients", 0, Twice::fine)),
          std::move(file)};
}

PolicyConfig read_policies(ConfigTable& service, const ConfigNode& tables) {
  static const Keys<PolicyRule> keys = policy_keys();
  WrittenPolicies written;
  written.files.push_back(service.path());
  each_table(service, tables, "policy", [&](ConfigTable& table) {
    PolicyRule rule;
    rule.line = table.line();
    read_keys(table, keys, rule);
    check_pool(table, rule);
    note_listed(table, rule, written);
    if (!rule.file.empty())
      read_file_of(table, rule, written);
    else if (rule.prefixes.empty())
      table.fail(table.line(),
                 R"(policy without clients: add prefixes = ["192.0.2.0/24"] or file = "...")");
    written.rules.push_back(std::move(rule));
  });
  PolicyConfig config;
  config.entries = unique_entries(service, written);
  config.rules = std::move(written.rules);
  if (config.entries.size() > TRAP_SERVER_MAX_POLICIES)
    service.fail(service.line(), fmt::format("{} client prefixes, but there is room for {}",
                                             config.entries.size(), TRAP_SERVER_MAX_POLICIES));
  return config;
}

} // namespace trap::server
