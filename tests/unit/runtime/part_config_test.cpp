// SPDX-License-Identifier: Apache-2.0
// Keys that all parts have: metrics_listen, and the keys that a reload refuses to change.
#include "runtime/config/part_config.h"

#include "runtime/config/config_changes.h"

#include <gmock/gmock.h>

namespace trap::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const Keys<PartConfig>& keys() {
  static const Keys<PartConfig> all = part_keys("server");
  return all;
}

Result<PartConfig> read(const std::string& text) {
  auto root = parse_config("interfaces = [\"eth0\"]\n" + text, "server.toml");
  if (!root)
    return root.error();
  ConfigTable table(*root, "server.toml");
  PartConfig config = make_part_config("server");
  read_keys(table, keys(), config);
  if (table.error())
    return *table.error();
  return config;
}

TEST(PartConfig, metrics_are_off_unless_somewhere_is_named) {
  EXPECT_FALSE(read("")->metrics_listen);
  auto v4 = read("metrics_listen = \"127.0.0.1:9464\"\n");
  ASSERT_TRUE(v4) << v4.error().message;
  EXPECT_EQ(format_endpoint(v4->metrics_listen.value()), "127.0.0.1:9464");
  auto v6 = read("metrics_listen = \"[::1]:9464\"\n");
  ASSERT_TRUE(v6) << v6.error().message;
  EXPECT_EQ(format_endpoint(v6->metrics_listen.value()), "[::1]:9464");
}

TEST(PartConfig, a_metrics_listen_that_is_no_address_and_port_is_refused_with_its_line) {
  for (const char* wrong : {"\"\"", "\"127.0.0.1\"", "\":9464\"", "\"localhost:9464\"",
                            "\"127.0.0.1:0\"", "\"::1:9464\"", "9464"}) {
    auto config = read(std::string("metrics_listen = ") + wrong + "\n");
    ASSERT_FALSE(config) << wrong;
    EXPECT_THAT(config.error().message, StartsWith("server.toml:2: "));
    EXPECT_THAT(config.error().message, HasSubstr("metrics_listen"));
    EXPECT_EQ(config.error().exit_code, ExitCode::usage);
  }
}

std::string refusal(const PartConfig& running, const PartConfig& wanted) {
  const auto refused =
      refuse_changes(changes_between(keys(), running, wanted), "server", "server.toml");
  return refused ? "" : refused.error().message;
}

TEST(PartConfig, a_reload_refuses_what_it_cannot_apply) {
  auto running = read("");
  ASSERT_TRUE(running);
  EXPECT_EQ(refusal(*running, *running), "");
  struct Case {
    const char *key, *value, *remedy;
  };
  const Case cases[] = {{"xdp_mode", "\"generic\"", "restart trap-server"},
                        {"pin_dir", "\"/sys/fs/bpf/other\"", "trap-server --detach"},
                        {"control_socket", "\"/run/other.sock\"", "restart trap-server"},
                        {"metrics_listen", "\"127.0.0.1:9464\"", "restart trap-server"}};
  for (const auto& [key, value, remedy] : cases) {
    auto wanted = read(std::string(key) + " = " + value + "\n");
    ASSERT_TRUE(wanted) << wanted.error().message;
    const std::string refused = refusal(*running, *wanted);
    EXPECT_THAT(refused, StartsWith("server.toml: "));
    EXPECT_THAT(refused, HasSubstr(std::string(key) + " from "));
    EXPECT_THAT(refused, HasSubstr(remedy));
  }
  PartConfig other = *running;
  other.interfaces = {"eth1"};
  EXPECT_THAT(refusal(*running, other), HasSubstr("interfaces +eth1 -eth0"));
}

TEST(PartConfig, a_refusal_names_every_key) {
  auto running = read("");
  auto wanted = read("xdp_mode = \"generic\"\npin_dir = \"/sys/fs/bpf/other\"\n");
  ASSERT_TRUE(running && wanted);
  const std::string refused = refusal(*running, *wanted);
  EXPECT_THAT(refused, HasSubstr("xdp_mode from \"native\" to \"generic\""));
  EXPECT_THAT(refused, HasSubstr("pin_dir"));
  EXPECT_THAT(refused, HasSubstr("--detach"));
}

} // namespace
} // namespace trap::test
