// SPDX-License-Identifier: Apache-2.0
// For every declared key of every part: a reload that changes it says so, or refuses in a line that
// names it. The keys come from the declarations, so a key that is added is tested as well.
#include <filesystem>
#include <fstream>
#include <map>

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "client/daemon/config/client_config.h"
#include "guard/daemon/config/guard_config.h"
#include "server/daemon/config/server_config.h"

namespace trap::test {
namespace {

using testing::HasSubstr;

constexpr char server_columns[] = R"(interfaces = ["eth0"]
[budget]
[[service]]
name = "web"
addresses = ["203.0.113.10:80", "203.0.113.11:80"]
unaware = "serve"
when_down = "silence"
  [[service.backend]]
  address = "198.51.100.20:80"
  guard = "web-1"
  [[service.backend]]
  address = "198.51.100.21:80"
  guard = "web-1"
  pool = "gold"
  [[service.backend]]
  address = "198.51.100.23:80"
  guard = "web-1"
  pool = "silver"
  [[service.policy]]
  action = "deny"
  prefixes = ["192.0.2.0/24"]
  file = "DIRECTORY/prefixes"
  [[service.policy]]
  action = "pool"
  pool = "gold"
  prefixes = ["192.0.3.0/24"]
[[service]]
name = "ssh"
addresses = ["203.0.113.10:22"]
)";

constexpr char guard_columns[] = R"(interfaces = ["eth0"]
trap_servers = ["203.0.113.10"]
[[pool]]
name = "partners"
addresses = ["203.0.113.10", "203.0.113.12"]
tags = [7]
[[pool]]
name = "others"
addresses = ["203.0.113.11"]
tags = [9]
[[class]]
name = "gold"
tags = [7, 9]
[[class]]
name = "silver"
tags = [8]
[[service]]
name = "web"
port = 80
[[service]]
name = "api"
port = 81
)";

constexpr char client_columns[] = R"(interfaces = ["eth0"]
[[trust]]
services = ["203.0.113.0/24"]
targets = ["198.51.100.0/24"]
[[trust]]
services = ["203.0.114.0/24"]
targets = ["198.51.100.0/24"]
)";

ConfigNode text(const std::string& value) {
  return {0, value};
}

ConfigNode list(ConfigNode item) {
  return {0, ConfigNode::Array{std::move(item)}};
}

// Another value of keys whose strings are free. All others are made from the declaration.
std::map<std::string, ConfigNode> samples() {
  return {{"interfaces", list(text("eth7"))},
          {"pin_dir", text("/sys/fs/bpf/other")},
          {"control_socket", text("/run/other.sock")},
          {"control_group", text("trap")},
          {"metrics_listen", text("127.0.0.1:9464")},
          {"master_key_file", text("/etc/trap/other.key")},
          {"secret_file", text("/etc/trap/other.key")},
          {"trap_servers", list(text("203.0.113.12"))},
          {"trusted", list(text("10.0.0.0/8"))},
          {"lan", list(text("br0"))},
          {"except", list(text("virbr*"))},
          {"services", list(text("203.0.115.0/24"))},
          {"targets", list(text("198.51.101.0/24"))},
          {"name", text("other")},
          {"addresses", list(text("203.0.113.12:80"))},
          {"address", text("198.51.100.22:80")},
          {"announce_source", list(text("203.0.113.12"))},
          {"health_source", list(text("203.0.113.11"))},
          {"guard_address", text("10.0.0.20")},
          {"guard", text("web-2")},
          {"pool", text("silver")},
          {"prefixes", list(text("192.0.4.0/24"))},
          {"file", text("DIRECTORY/others")}};
}

struct Bounds {
  std::int64_t least = 0, most = 0;
};

Bounds bounds_of(const KeyFacts& key) {
  Bounds bounds;
  EXPECT_EQ(sscanf(key.accepted.c_str(), "%ld to %ld", &bounds.least, &bounds.most), 2) << key.name;
  return bounds;
}

ConfigNode another_integer(const KeyFacts& key, const ConfigNode& now) {
  const Bounds bounds = bounds_of(key);
  const bool is_least = std::get<std::int64_t>(now.value) == bounds.least;
  return {0, is_least ? bounds.most : bounds.least};
}

// The first choice that is not the present one; null if the key has no choices.
ConfigNode another_choice(const KeyFacts& key, const ConfigNode& now) {
  if (!key.accepted.starts_with('"'))
    return {};
  std::size_t at = 0;
  while (at != std::string::npos && at < key.accepted.size()) {
    const std::size_t end = key.accepted.find('"', at + 1);
    const std::string choice = key.accepted.substr(at + 1, end - at - 1);
    if (choice != std::get<std::string>(now.value))
      return text(choice);
    at = key.accepted.find('"', end + 1);
  }
  return {};
}

// Nothing where the test has no other value: a free string needs one in samples().
ConfigNode another_value(const KeyFacts& key, const ConfigNode& now) {
  switch (key.type) {
  case KeyType::boolean:
    return {0, !std::get<bool>(now.value)};
  case KeyType::integer:
    return another_integer(key, now);
  case KeyType::integers:
    return list({0, bounds_of(key).most});
  case KeyType::tables: {
    auto fewer = std::get<ConfigNode::Array>(now.value);
    if (!fewer.empty())
      fewer.pop_back();
    return {0, std::move(fewer)};
  }
  default:
    if (const ConfigNode choice = another_choice(key, now); choice.value.index() != 0)
      return choice;
    const auto all = samples();
    const bool has_ports = key.accepted != "addresses and prefixes"; // as a server's addresses do
    const auto at = all.find(key.name == "addresses" && !has_ports ? "prefixes" : key.name);
    return at == all.end() ? ConfigNode() : at->second;
  }
}

// The tree as a file, without what is off.
std::string as_toml(const ConfigNode& root) {
  std::string file;
  for (const ConfigEntry& entry : std::get<ConfigNode::Table>(root.value))
    file += fmt::format("{} = {}\n", entry.key, format_value(entry.node));
  return file;
}

ConfigNode without_empty(const ConfigNode& node) {
  if (const auto* table = std::get_if<ConfigNode::Table>(&node.value)) {
    ConfigNode::Table kept;
    for (const ConfigEntry& entry : *table) {
      if (!fallback_text(entry.node).empty())
        kept.push_back({entry.key, without_empty(entry.node)});
    }
    return {0, std::move(kept)};
  }
  if (const auto* array = std::get_if<ConfigNode::Array>(&node.value)) {
    ConfigNode::Array kept;
    for (const ConfigNode& item : *array)
      kept.push_back(without_empty(item));
    return {0, std::move(kept)};
  }
  return node;
}

// One part: its declarations, its reader and a configuration that has every table.
template <class Config> struct Subject {
  const Keys<Config>& keys;
  Result<Config> (*read)(const std::string& path);
  const char* base;
};

template <class Config> class Walk {
public:
  Walk(const Subject<Config>& subject, std::string directory)
      : subject_(subject), directory_(std::move(directory)) {}

  void run() {
    auto base = read(subject_.base);
    ASSERT_TRUE(base) << base.error().message;
    base_ = std::move(*base);
    root_ = show_keys(subject_.keys, base_, View::comparison);
    name_files(root_);
    auto again = read(as_toml(without_empty(root_)));
    ASSERT_TRUE(again) << again.error().message << "\n" << as_toml(root_);
    EXPECT_TRUE(changes(*again).none())
        << "a configuration as it is shown is the same one: " << describe_changes(changes(*again));
    walk(facts_of(subject_.keys), root_, "", nullptr);
  }

  unsigned seen() const { return seen_; }

private:
  Result<Config> read(std::string file) {
    for (std::size_t at; (at = file.find("DIRECTORY")) != std::string::npos;)
      file.replace(at, 9, directory_);
    const std::string path = directory_ + "/config.toml";
    std::ofstream(path) << file;
    return subject_.read(path);
  }

  Changes changes(const Config& after) { return changes_between(subject_.keys, base_, after); }

  // For comparison a file of prefixes is shown with its content; a configuration has its name only.
  static void name_files(ConfigNode& node) {
    if (auto* table = std::get_if<ConfigNode::Table>(&node.value)) {
      for (ConfigEntry& entry : *table) {
        if (entry.key == "file")
          entry.node.value = std::get<std::string>(entry.node.value)
                                 .substr(0, std::get<std::string>(entry.node.value).find(" ("));
        name_files(entry.node);
      }
    } else if (auto* array = std::get_if<ConfigNode::Array>(&node.value)) {
      for (ConfigNode& item : *array)
        name_files(item);
    }
  }

  // `table` is within root_: a value is exchanged in place, and put back.
  void walk(const std::vector<KeyFacts>& keys, ConfigNode& table, const std::string& of,
            const KeyFacts* owner) {
    for (const KeyFacts& key : keys) {
      ConfigNode* node = const_cast<ConfigNode*>(find_entry(table, key.name));
      ASSERT_TRUE(node) << of << key.name;
      if (key.type == KeyType::table) {
        walk(key.keys, *node, of + key.name + ".", nullptr);
        continue;
      }
      const bool tells_apart =
          owner && std::ranges::find(owner->identity, key.name) != owner->identity.end();
      exchange(key, *node, of + key.name, tells_apart ? owner->name : key.name);
      if (key.type == KeyType::tables) {
        for (ConfigNode& item : std::get<ConfigNode::Array>(node->value))
          walk(key.keys, item, of + key.name + ".", &key);
      }
    }
  }

  void exchange(const KeyFacts& key, ConfigNode& node, const std::string& name,
                const std::string& named) {
    SCOPED_TRACE(name);
    const ConfigNode now = node;
    node = another_value(key, now);
    ASSERT_NE(node.value.index(), 0u) << "no other value: add one to samples()";
    if (format_value(node) == format_value(now))
      return;
    const std::string file = as_toml(without_empty(root_));
    node = now;
    auto after = read(file);
    tried_[name] = tried_[name] || static_cast<bool>(after);
    if (!after) {
      refusals_[name] = after.error().message;
      return;
    }
    seen_++;
    const Changes changed = changes(*after);
    EXPECT_NE(describe_changes(changed) == "nothing has changed" && changed.refused.empty(), true);
    const auto& expected = key.by == AppliedBy::reload ? changed.applied : changed.refused;
    EXPECT_THAT(expected, testing::Contains(testing::Field(&Change::text, HasSubstr(named))));
    const auto refused = refuse_changes(changed, "part", "part.toml");
    if (key.by != AppliedBy::reload) {
      ASSERT_FALSE(refused);
      EXPECT_THAT(refused.error().message, HasSubstr(named));
    } else {
      EXPECT_TRUE(refused) << refused.error().message;
      EXPECT_THAT(describe_changes(changed), HasSubstr(named));
    }
  }

public:
  // A key that no configuration of this test could change was not tested.
  void expect_all_tried() const {
    for (const auto& [name, tried] : tried_)
      EXPECT_TRUE(tried) << name << ": " << refusals_.at(name);
  }

private:
  const Subject<Config>& subject_;
  std::string directory_;
  Config base_;
  ConfigNode root_;
  std::map<std::string, bool> tried_;
  std::map<std::string, std::string> refusals_;
  unsigned seen_ = 0;
};

class EveryKey : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/trap-every-key-XXXXXX";
    ASSERT_TRUE(mkdtemp(name));
    directory_ = name;
    std::ofstream(directory_ + "/prefixes") << "198.18.0.0/15\n";
    std::ofstream(directory_ + "/others") << "198.18.0.0/16\n";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  template <class Config> void expect_told(const Subject<Config>& subject, unsigned least) {
    Walk<Config> walk(subject, directory_);
    walk.run();
    walk.expect_all_tried();
    EXPECT_GE(walk.seen(), least);
  }

  std::string directory_;
};

TEST_F(EveryKey, of_a_server_is_applied_or_refused_by_name) {
  expect_told<server::ServerConfig>(
      {server::server_keys(), server::read_server_config, server_columns}, 50);
}

TEST_F(EveryKey, of_a_guard_is_applied_or_refused_by_name) {
  expect_told<guard::GuardConfig>({guard::guard_keys(), guard::read_guard_config, guard_columns},
                                  40);
}

TEST_F(EveryKey, of_a_client_is_applied_or_refused_by_name) {
  expect_told<client::ClientConfig>(
      {client::client_keys(), client::read_client_config, client_columns}, 16);
}

TEST_F(EveryKey, a_file_of_prefixes_that_says_something_else_is_a_change) {
  const std::string path = directory_ + "/server.toml";
  std::string text = server_columns;
  text.replace(text.find("DIRECTORY"), 9, directory_);
  std::ofstream(path) << text;
  auto before = server::read_server_config(path);
  ASSERT_TRUE(before) << before.error().message;
  std::ofstream(directory_ + "/prefixes") << "198.18.0.0/15\n198.51.100.0/24\n";
  auto after = server::read_server_config(path);
  ASSERT_TRUE(after) << after.error().message;
  const std::string told =
      describe_changes(changes_between(server::server_keys(), *before, *after));
  EXPECT_THAT(told, HasSubstr("prefixes (1 prefixes"));
  EXPECT_THAT(told, HasSubstr("prefixes (2 prefixes"));
}

TEST_F(EveryKey, has_a_meaning_and_a_name_of_its_own) {
  const std::vector<std::vector<KeyFacts>> parts = {facts_of(server::server_keys()),
                                                    facts_of(guard::guard_keys()),
                                                    facts_of(client::client_keys())};
  for (const auto& keys : parts) {
    std::set<std::string> names;
    for (const KeyFacts& key : keys) {
      EXPECT_FALSE(key.meaning.empty()) << key.name;
      EXPECT_TRUE(names.insert(key.name).second) << key.name;
    }
  }
}

} // namespace
} // namespace trap::test
