// SPDX-License-Identifier: Apache-2.0
// Keys that all parts have: metrics_listen, and which keys a reload refuses to change.
#include "runtime/config/part_config.h"

#include <gmock/gmock.h>

namespace trap::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Result<PartConfig> read(const std::string& text) {
  auto root = parse_config("interfaces = [\"eth0\"]\n" + text, "server.toml");
  if (!root)
    return root.error();
  ConfigTable table(*root, "server.toml");
  PartConfig config = read_part_config(table, "server", "server.toml");
  table.reject_unknown_keys();
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

TEST(PartConfig, a_reload_refuses_what_only_a_restart_can_change) {
  auto running = read("");
  ASSERT_TRUE(running);
  EXPECT_TRUE(refuse_changes_of_restart_keys(*running, *running));
  const std::pair<const char*, const char*> changes[] = {{"xdp_mode", "\"generic\""},
                                                         {"pin_dir", "\"/sys/fs/bpf/other\""},
                                                         {"control_socket", "\"/run/other.sock\""},
                                                         {"metrics_listen", "\"127.0.0.1:9464\""}};
  for (const auto& [key, value] : changes) {
    auto wanted = read(std::string(key) + " = " + value + "\n");
    ASSERT_TRUE(wanted) << wanted.error().message;
    auto refused = refuse_changes_of_restart_keys(*running, *wanted);
    ASSERT_FALSE(refused) << key;
    EXPECT_THAT(refused.error().message, HasSubstr(std::string("\"") + key + "\""));
    EXPECT_THAT(refused.error().message, HasSubstr("restart trap-server"));
  }
  PartConfig other = *running;
  other.interfaces = {"eth1"};
  EXPECT_THAT(refuse_changes_of_restart_keys(*running, other).error().message,
              HasSubstr("\"interfaces\""));
}

TEST(PartConfig, a_reload_refuses_another_size_of_a_table) {
  auto config = read("");
  ASSERT_TRUE(config);
  EXPECT_TRUE(refuse_change_of_size(*config, "max_flows", 4096, 4096));
  const auto refused = refuse_change_of_size(*config, "max_flows", 4096, 8192);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              StartsWith("server.toml: \"max_flows\" was changed from 4096 to 8192"));
  EXPECT_THAT(refused.error().message, HasSubstr("--detach"));
  EXPECT_EQ(refused.error().exit_code, ExitCode::usage);
}

} // namespace
} // namespace trap::test
