// SPDX-License-Identifier: Apache-2.0
// The one declaration of a configuration key: its name, how it is read and checked, the member of
// the plain configuration struct it fills, what a change of it takes, and its meaning. The default
// is the member's own initializer. Each TOML table has a list of such declarations (Keys), from
// which come reading, errors, `--list-keys`, the comparison at a reload and the status.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/config/config_table.h"
#include "runtime/config/key_facts.h"

namespace trap {

// The purpose for which a configuration is shown.
enum class View {
  status,     // long lists as their length
  comparison, // everything that makes a difference
};

// `Config` is the struct that the table is read into.
template <class Config> struct Key {
  KeyFacts facts;
  std::function<void(ConfigTable&, const ConfigNode&, Config&)> take;
  std::function<ConfigNode(const Config&, View)> show;
};

template <class Config> using Keys = std::vector<Key<Config>>;

constexpr AppliedBy by_reload = AppliedBy::reload;
constexpr AppliedBy by_restart = AppliedBy::restart;
constexpr AppliedBy by_detach = AppliedBy::detach;

// --- From the declarations of a table ------------------------------------------------------------

// Fills `config` with what the table says; keys that are missing keep the member's value. Errors
// are in the table.
template <class Config>
void read_keys(ConfigTable& table, const Keys<Config>& keys, Config& config) {
  std::vector<std::string> known;
  for (const Key<Config>& key : keys) {
    known.push_back(key.facts.name);
    if (const ConfigNode* node = table.find(key.facts.name))
      key.take(table, *node, config);
  }
  table.reject_keys_except(known); // a key that is misspelt is not one that is missing
  for (const Key<Config>& key : keys) {
    if (!key.facts.required || table.find(key.facts.name))
      continue;
    if (key.facts.type == KeyType::tables)
      table.fail(0, "no [[" + table.header_of(key.facts.name) + "]]: add at least one");
    else
      table.fail_missing(key.facts.name);
  }
}

// The table as it would be written.
template <class Config>
ConfigNode show_keys(const Keys<Config>& keys, const Config& config, View view) {
  ConfigNode::Table entries;
  for (const Key<Config>& key : keys)
    entries.push_back({key.facts.name, key.show(config, view)});
  return {0, std::move(entries)};
}

template <class Config> std::vector<KeyFacts> facts_of(const Keys<Config>& keys) {
  std::vector<KeyFacts> facts;
  for (const Key<Config>& key : keys)
    facts.push_back(key.facts);
  return facts;
}

// --- What may be said of a key beyond its kind ---------------------------------------------------

template <class Config> Key<Config> required(Key<Config> key) {
  key.facts.required = true;
  key.facts.fallback.clear();
  return key;
}

// The default in words, where it follows from other keys.
template <class Config> Key<Config> default_is(std::string words, Key<Config> key) {
  key.facts.fallback = std::move(words);
  key.facts.fallback_is_words = true;
  return key;
}

// The status has the number of items only.
template <class Config> Key<Config> shown_as_count(Key<Config> key) {
  key.show = [show = key.show](const Config& config, View view) -> ConfigNode {
    ConfigNode node = show(config, view);
    if (view == View::comparison)
      return node;
    return {0, static_cast<std::int64_t>(std::get<ConfigNode::Array>(node.value).size())};
  };
  return key;
}

// The keys of a struct that is a member of another, where the file has no table for it.
template <class Outer, class Inner>
Keys<Outer> within(Inner Outer::*member, const Keys<Inner>& inner) {
  Keys<Outer> outer;
  for (const Key<Inner>& key : inner) {
    Key<Outer> lifted;
    lifted.facts = key.facts;
    lifted.take = [member, take = key.take](ConfigTable& table, const ConfigNode& node,
                                            Outer& config) { take(table, node, config.*member); };
    lifted.show = [member, show = key.show](const Outer& config, View view) {
      return show(config.*member, view);
    };
    if (!key.facts.required && !key.facts.fallback_is_words)
      lifted.facts.fallback = fallback_text(lifted.show(Outer(), View::comparison));
    outer.push_back(std::move(lifted));
  }
  return outer;
}

// One list of several, for a table that has keys in parts of its struct.
template <class Config> Keys<Config> joined(std::vector<Keys<Config>> lists) {
  Keys<Config> all;
  for (Keys<Config>& list : lists)
    std::move(list.begin(), list.end(), std::back_inserter(all));
  return all;
}

// --- Kinds of keys -------------------------------------------------------------------------------

namespace key_detail {

template <class Config> Key<Config> make(KeyFacts facts, auto take, auto show) {
  Key<Config> key;
  key.facts = std::move(facts);
  key.take = std::move(take);
  key.show = std::move(show);
  if (key.facts.type != KeyType::table && key.facts.type != KeyType::tables)
    key.facts.fallback = fallback_text(key.show(Config(), View::comparison));
  return key;
}

} // namespace key_detail

template <class Config>
Key<Config> boolean(std::string name, bool Config::*member, AppliedBy by, std::string meaning) {
  return key_detail::make<Config>(
      {.name = name, .type = KeyType::boolean, .by = by, .meaning = std::move(meaning)},
      [name, member](ConfigTable& table, const ConfigNode& node, Config& config) {
        if (const bool* value = table.as<bool>(node, name, "a boolean (true or false)"))
          config.*member = *value;
      },
      [member](const Config& config, View) {
        return ConfigNode{0, config.*member};
      });
}

struct Range {
  std::int64_t least, most;
};

// `adjust`: what becomes of a value that is within the range.
template <class Config, class Number>
Key<Config> integer(std::string name, Number Config::*member, Range range, AppliedBy by,
                    std::string meaning, std::int64_t (*adjust)(std::int64_t) = nullptr) {
  return key_detail::make<Config>(
      {.name = name,
       .type = KeyType::integer,
       .accepted = std::to_string(range.least) + " to " + std::to_string(range.most),
       .by = by,
       .meaning = std::move(meaning)},
      [name, member, range, adjust](ConfigTable& table, const ConfigNode& node, Config& config) {
        if (auto value = table.integer(node, name, range.least, range.most))
          config.*member = static_cast<Number>(adjust ? adjust(*value) : *value);
      },
      [member](const Config& config, View) {
        return ConfigNode{0, static_cast<std::int64_t>(config.*member)};
      });
}

template <class Config, class Number>
Key<Config> integers(std::string name, std::vector<Number> Config::*member, Range range,
                     AppliedBy by, std::string meaning) {
  return key_detail::make<Config>(
      {.name = name,
       .type = KeyType::integers,
       .accepted = std::to_string(range.least) + " to " + std::to_string(range.most),
       .by = by,
       .meaning = std::move(meaning)},
      [name, member, range](ConfigTable& table, const ConfigNode& node, Config& config) {
        constexpr char wanted_kind[] = "an array of integers";
        const auto* array = table.as<ConfigNode::Array>(node, name, wanted_kind);
        (config.*member).clear();
        for (const ConfigNode& item : array ? *array : ConfigNode::Array()) {
          if (auto value = table.integer(item, name, range.least, range.most, wanted_kind))
            (config.*member).push_back(static_cast<Number>(*value));
        }
      },
      [member](const Config& config, View) {
        ConfigNode::Array items;
        for (const Number number : config.*member)
          items.push_back({0, static_cast<std::int64_t>(number)});
        return ConfigNode{0, std::move(items)};
      });
}

template <class Value> using Choices = std::vector<std::pair<std::string, Value>>;

// The name of a value, which must be among the choices.
template <class Value>
const std::string& name_in(const Choices<Value>& choices, const Value& value) {
  return std::ranges::find(choices, value, &std::pair<std::string, Value>::second)->first;
}

template <class Config, class Value>
Key<Config> choice(std::string name, Value Config::*member,
                   std::type_identity_t<Choices<Value>> choices, AppliedBy by,
                   std::string meaning) {
  std::string accepted;
  for (const auto& [choice_name, value] : choices)
    accepted += (accepted.empty() ? "\"" : ", \"") + choice_name + "\"";
  return key_detail::make<Config>(
      {.name = name,
       .type = KeyType::string,
       .accepted = accepted,
       .by = by,
       .meaning = std::move(meaning)},
      [name, member, choices, accepted](ConfigTable& table, const ConfigNode& node,
                                        Config& config) {
        const std::string* text = table.text(node, name);
        if (!text)
          return;
        for (const auto& [choice_name, value] : choices) {
          if (choice_name == *text) {
            config.*member = value;
            return;
          }
        }
        table.fail(node.line, "\"" + name + "\" is \"" + *text + "\": write one of " + accepted);
      },
      [member, choices](const Config& config, View) {
        return ConfigNode{0, name_in<Value>(choices, config.*member)};
      });
}

// A value that the file has as a string. Errors of `parse` carry no place.
template <class T> struct Written {
  Result<T> (*parse)(const std::string&);
  std::string (*format)(const T&);
  std::string accepted; // for --list-keys: "an address and port"
  bool may_be_empty = false;
};

template <class Config, class T>
Key<Config> string(std::string name, T Config::*member, Written<std::type_identity_t<T>> written,
                   AppliedBy by, std::string meaning) {
  return key_detail::make<Config>(
      {.name = name,
       .type = KeyType::string,
       .accepted = written.accepted,
       .by = by,
       .meaning = std::move(meaning)},
      [name, member, written](ConfigTable& table, const ConfigNode& node, Config& config) {
        const std::string* text =
            written.may_be_empty ? table.word(node, name) : table.text(node, name);
        if (!text)
          return;
        auto value = written.parse(*text);
        if (!value)
          table.fail(node.line, name + ": " + value.error().message);
        else
          config.*member = std::move(*value);
      },
      [member, written](const Config& config, View) {
        return ConfigNode{0, written.format(config.*member)};
      });
}

// The path of a file, as path_beside() understands it.
template <class Config>
Key<Config> file(std::string name, std::string Config::*member, AppliedBy by, std::string meaning) {
  return key_detail::make<Config>(
      {.name = name,
       .type = KeyType::string,
       .accepted = "a path",
       .by = by,
       .meaning = std::move(meaning)},
      [name, member](ConfigTable& table, const ConfigNode& node, Config& config) {
        if (const std::string* text = table.text(node, name))
          config.*member = path_beside(table.path(), *text);
      },
      [member](const Config& config, View) {
        return ConfigNode{0, config.*member};
      });
}

// The same for one that may be missing: no value is shown as the empty string.
template <class Config, class T>
Key<Config> string_or_none(std::string name, std::optional<T> Config::*member,
                           Written<std::type_identity_t<T>> written, AppliedBy by,
                           std::string meaning) {
  return key_detail::make<Config>(
      {.name = name,
       .type = KeyType::string,
       .accepted = written.accepted,
       .by = by,
       .meaning = std::move(meaning)},
      [name, member, written](ConfigTable& table, const ConfigNode& node, Config& config) {
        const std::string* text = table.text(node, name);
        if (!text)
          return;
        auto value = written.parse(*text);
        if (!value)
          table.fail(node.line, name + ": " + value.error().message);
        else
          config.*member = std::move(*value);
      },
      [member, written](const Config& config, View) {
        return ConfigNode{0, config.*member ? written.format(*(config.*member)) : ""};
      });
}

enum class Twice { refused, fine };

// `most`: how many items there is room for; 0: any number.
template <class Config, class T>
Key<Config> strings(std::string name, std::vector<T> Config::*member,
                    Written<std::type_identity_t<T>> written, AppliedBy by, std::string meaning,
                    std::size_t most = 0, Twice twice = Twice::refused) {
  return key_detail::make<Config>(
      {.name = name,
       .type = KeyType::strings,
       .accepted = written.accepted,
       .by = by,
       .meaning = std::move(meaning)},
      [=](ConfigTable& table, const ConfigNode& node, Config& config) {
        constexpr char wanted_kind[] = "an array of strings";
        const auto* array = table.as<ConfigNode::Array>(node, name, wanted_kind);
        if (!array)
          return;
        if (array->empty())
          table.fail(node.line, "\"" + name + "\" is empty: name at least one");
        if (most != 0 && array->size() > most)
          table.fail(array->back().line,
                     name + ": there is room for " + std::to_string(most) + " only");
        std::set<std::string> seen;
        for (const ConfigNode& item : *array) {
          const auto* text = table.word(item, name, wanted_kind);
          if (!text)
            continue;
          auto value = written.parse(*text);
          if (!value) {
            table.fail(item.line, name + ": " + value.error().message);
            continue;
          }
          if (twice == Twice::refused && !seen.insert(written.format(*value)).second)
            table.fail(item.line, name + ": \"" + *text + "\" is listed twice");
          (config.*member).push_back(std::move(*value));
        }
      },
      [member, written](const Config& config, View) {
        ConfigNode::Array items;
        for (const T& item : config.*member)
          items.push_back({0, written.format(item)});
        return ConfigNode{0, std::move(items)};
      });
}

// A table of its own, [name].
template <class Outer, class Inner>
Key<Outer> table(std::string name, Inner Outer::*member, const Keys<Inner>& keys,
                 std::string meaning) {
  return key_detail::make<Outer>(
      {.name = name, .type = KeyType::table, .meaning = std::move(meaning), .keys = facts_of(keys)},
      [name, member, keys](ConfigTable& parent, const ConfigNode& node, Outer& config) {
        if (!parent.as<ConfigNode::Table>(node, name, "a table: write [" + name + "]"))
          return;
        ConfigTable inner(node, name, parent);
        inner.name_it("[" + name + "]");
        read_keys(inner, keys, config.*member);
      },
      [member, keys](const Outer& config, View view) {
        return show_keys(keys, config.*member, view);
      });
}

// Calls `take` with each [[name]] of the array `node`.
void each_table(ConfigTable& parent, const ConfigNode& node, const std::string& name,
                const std::function<void(ConfigTable&)>& take);

template <class Inner>
ConfigNode show_tables(const Keys<Inner>& keys, const std::vector<Inner>& tables, View view) {
  ConfigNode::Array items;
  for (const Inner& inner : tables)
    items.push_back(show_keys(keys, inner, view));
  return {0, std::move(items)};
}

// Any number of tables, [[name]]. `identity` are the keys that tell them apart at a reload; without
// any it is their place in the file. `check` sees each when its keys have been read, and the
// configuration with those before it.
template <class Outer, class Inner>
Key<Outer> tables(std::string name, std::vector<Inner> Outer::*member, const Keys<Inner>& keys,
                  std::vector<std::string> identity,
                  std::type_identity_t<void (*)(ConfigTable&, Inner&, const Outer&)> check,
                  std::string meaning) {
  return key_detail::make<Outer>(
      {.name = name,
       .type = KeyType::tables,
       .meaning = std::move(meaning),
       .keys = facts_of(keys),
       .identity = std::move(identity)},
      [=](ConfigTable& parent, const ConfigNode& node, Outer& config) {
        (config.*member).clear();
        each_table(parent, node, name, [&](ConfigTable& table) {
          Inner inner;
          read_keys(table, keys, inner);
          check(table, inner, config);
          (config.*member).push_back(std::move(inner));
        });
      },
      [member, keys](const Outer& config, View view) {
        return show_tables(keys, config.*member, view);
      });
}

// The whole file. `finish` checks what takes several keys.
template <class Config>
Result<Config> read_config(const std::string& path, const Keys<Config>& keys,
                           std::type_identity_t<void (*)(ConfigTable&, Config&)> finish) {
  auto root = read_config_file(path);
  if (!root)
    return root.error();
  ConfigTable table(*root, path);
  Config config;
  config.part.path = path;
  read_keys(table, keys, config);
  finish(table, config);
  if (table.error())
    return *table.error();
  return config;
}

} // namespace trap
