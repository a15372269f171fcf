// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/config_changes.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace trap {
namespace {

constexpr std::size_t items_named = 8; // of what came or went in one list
constexpr std::size_t changes_named = 8;

// One element of an array of tables, as lines name it.
std::string label_of(const KeyFacts& facts, const ConfigNode& table, std::size_t index) {
  if (facts.identity.empty())
    return fmt::format("#{}", index + 1);
  std::string label;
  for (const std::string& key : facts.identity) {
    const ConfigNode* value = find_entry(table, key);
    const std::string text = value ? std::get<std::string>(value->value) : "";
    if (!text.empty())
      label += label.empty() ? text : fmt::format(" ({} {})", key, text);
  }
  return label;
}

// "+a +b -c" for what came and what went; empty if both have the same.
std::string came_and_went(const std::vector<std::string>& before,
                          const std::vector<std::string>& after) {
  std::vector<std::string> signed_items;
  const auto note = [&](char sign, const std::vector<std::string>& of,
                        const std::vector<std::string>& others) {
    const std::set<std::string> there(others.begin(), others.end());
    for (const std::string& item : of) {
      if (!there.contains(item))
        signed_items.push_back(sign + item);
    }
  };
  note('+', after, before);
  note('-', before, after);
  const std::size_t more =
      signed_items.size() > items_named ? signed_items.size() - items_named : 0;
  signed_items.resize(signed_items.size() - more);
  return fmt::format("{}{}", fmt::join(signed_items, " "),
                     more ? fmt::format(" and {} more", more) : "");
}

class Comparison {
public:
  Changes changes;

  void tables(const std::vector<KeyFacts>& keys, const ConfigNode& before, const ConfigNode& after,
              const std::string& of) {
    for (const KeyFacts& key : keys)
      values(key, *find_entry(before, key.name), *find_entry(after, key.name), of);
  }

private:
  void note(const KeyFacts& key, const std::string& of, const std::string& text) {
    auto& list = key.by == AppliedBy::reload ? changes.applied : changes.refused;
    list.push_back({of + key.name, of + key.name + " " + text, key.by});
  }

  void values(const KeyFacts& key, const ConfigNode& before, const ConfigNode& after,
              const std::string& of) {
    switch (key.type) {
    case KeyType::table:
      return tables(key.keys, before, after, of + key.name + ": ");
    case KeyType::tables:
      return arrays_of_tables(key, before, after, of);
    case KeyType::strings:
    case KeyType::integers:
      return arrays(key, before, after, of);
    default:
      const std::string was = fallback_text(before), is = fallback_text(after);
      if (was != is)
        note(key, of,
             fmt::format("from {} to {}", was.empty() ? "none" : was, is.empty() ? "none" : is));
    }
  }

  void arrays(const KeyFacts& key, const ConfigNode& before, const ConfigNode& after,
              const std::string& of) {
    const auto texts = [](const ConfigNode& node) {
      std::vector<std::string> all;
      for (const ConfigNode& item : std::get<ConfigNode::Array>(node.value)) {
        const auto* text = std::get_if<std::string>(&item.value);
        all.push_back(text ? *text : format_value(item));
      }
      return all;
    };
    const std::string difference = came_and_went(texts(before), texts(after));
    if (!difference.empty())
      note(key, of, difference);
  }

  void arrays_of_tables(const KeyFacts& key, const ConfigNode& before, const ConfigNode& after,
                        const std::string& of) {
    const auto& were = std::get<ConfigNode::Array>(before.value);
    const auto& are = std::get<ConfigNode::Array>(after.value);
    std::map<std::string, const ConfigNode*> earlier;
    std::vector<std::string> labels_before, labels_after;
    for (std::size_t i = 0; i < were.size(); i++) {
      labels_before.push_back(label_of(key, were[i], i));
      earlier[labels_before.back()] = &were[i];
    }
    for (std::size_t i = 0; i < are.size(); i++)
      labels_after.push_back(label_of(key, are[i], i));
    const std::string difference = came_and_went(labels_before, labels_after);
    if (!difference.empty())
      note(key, of, difference);
    for (std::size_t i = 0; i < are.size(); i++) {
      if (auto at = earlier.find(labels_after[i]); at != earlier.end())
        tables(key.keys, *at->second, are[i],
               fmt::format("{}{} {}: ", of, key.name, labels_after[i]));
    }
  }
};

} // namespace

Changes changes_between(const std::vector<KeyFacts>& keys, const ConfigNode& before,
                        const ConfigNode& after) {
  Comparison comparison;
  comparison.tables(keys, before, after, "");
  return std::move(comparison.changes);
}

Result<void> refuse_changes(const Changes& changes, const std::string& part,
                            const std::string& path) {
  if (changes.refused.empty())
    return {};
  const bool restart_will_do = std::ranges::all_of(
      changes.refused, [](const Change& change) { return change.by == AppliedBy::restart; });
  std::vector<std::string> texts;
  for (const Change& change : changes.refused)
    texts.push_back(change.text);
  return Error{fmt::format("{}: changed, which a reload cannot apply: {}: {}", path,
                           fmt::join(texts, "; "),
                           restart_will_do
                               ? fmt::format("restart trap-{}, which loses no packet", part)
                               : fmt::format("with the old values run trap-{} --detach, then start "
                                             "it with the new ones",
                                             part)),
               ExitCode::usage};
}

std::string describe_changes(const Changes& changes) {
  std::string line;
  for (std::size_t i = 0; i < changes.applied.size() && i < changes_named; i++)
    line += (line.empty() ? "" : "; ") + changes.applied[i].text;
  if (changes.applied.size() > changes_named)
    line += fmt::format("; {} more changes", changes.applied.size() - changes_named);
  return line.empty() ? "nothing has changed" : line;
}

} // namespace trap
