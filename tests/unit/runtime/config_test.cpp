// SPDX-License-Identifier: Apache-2.0
// The three configuration files: what is read from good ones, and the one line that each bad one
// gets, with its place.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "client/daemon/config/client_config.h"
#include "guard/daemon/config/guard_config.h"
#include "runtime/config/config_node.h"
#include "server/daemon/config/server_config.h"

namespace trap::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::string server_text = R"(interfaces = ["eth0"]
option_kind = "experimental"
[[service]]
name = "web"
addresses = ["203.0.113.10:80", "[2001:db8:113::10]:80"]
[[service.backend]]
address = "198.51.100.20:8080"
guard = "web-1"
weight = 3
[[service.backend]]
address = "[2001:db8:198::20]:80"
guard = "web-1"
ticket_lifetime_s = 8
)";

const std::string guard_text = R"(interfaces = ["eth0", "eth1"]
xdp_mode = "generic"
trap_servers = ["203.0.113.1", "2001:db8:113::1"]
[[service]]
name = "web"
port = 80
)";

const std::string client_text = "interfaces = [\"eth0\"]\nallow_private_targets = true\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

class Config : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/trap-config-test-XXXXXX";
    const int fd = mkstemp(name);
    ASSERT_GE(fd, 0);
    close(fd);
    path_ = name;
  }
  void TearDown() override { std::filesystem::remove(path_); }

  const std::string& write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }

  // One line, beginning with the file and, if it is not 0, the line.
  void expect_refused(const Error& error, int line, const std::string& about) {
    EXPECT_EQ(error.exit_code, ExitCode::usage) << error.message;
    EXPECT_THAT(error.message,
                StartsWith(path_ + (line > 0 ? ":" + std::to_string(line) + ": " : ":")));
    EXPECT_THAT(error.message, HasSubstr(about));
    EXPECT_EQ(error.message.find('\n'), std::string::npos) << error.message;
  }

  std::string path_;
};

TEST_F(Config, of_a_server) {
  const auto config = server::read_server_config(write(server_text));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->part.interfaces, std::vector<std::string>{"eth0"});
  EXPECT_EQ(config->part.xdp_mode, XdpMode::native);
  EXPECT_EQ(config->attach, server::Attach::xdp);
  EXPECT_EQ(config->part.pin_dir, "/sys/fs/bpf/trap/server");
  EXPECT_EQ(config->part.control_socket, "/run/trap/server.sock");
  EXPECT_EQ(config->master_key_file, "/etc/trap/master.key");
  EXPECT_TRUE(config->experimental_kind);
  ASSERT_EQ(config->services.size(), 1u);
  const server::ServiceConfig& service = config->services[0];
  EXPECT_EQ(service.name, "web");
  EXPECT_TRUE(service.offer);
  ASSERT_EQ(service.addresses.size(), 2u);
  EXPECT_EQ(format_endpoint(service.addresses[1]), "[2001:db8:113::10]:80");
  ASSERT_EQ(service.backends.size(), 2u);
  EXPECT_EQ(service.backends[0].weight, 3u);
  EXPECT_EQ(service.backends[0].lifetime_s, 600);
  EXPECT_EQ(service.backends[1].lifetime_s, 8);
}

TEST_F(Config, of_a_server_gone_wrong) {
  struct Case {
    const char* from;
    const char* to;
    int line;
    const char* about;
  };
  const Case cases[] = {
      {"interfaces = [\"eth0\"]", "interfaces = []", 1, "interfaces"},
      {"interfaces = [\"eth0\"]", "interfaces = \"eth0\"", 1, "interfaces"},
      {"interfaces = [\"eth0\"]", "interfaces = [\"eth0\", \"eth0\"]", 1, "eth0"},
      {"interfaces = [\"eth0\"]", "interfaces = [7]", 1, "interfaces"},
      {"interfaces = [\"eth0\"]\n", "", 0, "interfaces"},
      {"\"experimental\"", "\"private\"", 2, "option_kind"},
      {"option_kind", "option_knd", 2, "option_knd"},
      {"name = \"web\"\n", "name = \"web\"\nunaware = \"drop\"\n", 5, "unaware"},
      {"name = \"web\"\n", "name = \"web\"\noffer = \"yes\"\n", 5, "offer"},
      {"name = \"web\"\n", "name = \"w b\"\n", 4, "w b"},
      {"name = \"web\"\n", "", 0, "name"},
      {"203.0.113.10:80", "203.0.113.10", 5, "203.0.113.10"},
      {"203.0.113.10:80", "203.0.113.300:80", 5, "203.0.113.300"},
      {"203.0.113.10:80", "127.0.0.1:80", 5, "127.0.0.1"},
      {"[2001:db8:113::10]:80", "203.0.113.10:80", 5, "203.0.113.10:80"},
      {"198.51.100.20:8080", "[2001:db8:198::21]:80", 5, "203.0.113.10:80"},
      {"[2001:db8:198::20]:80", "198.51.100.20:8080", 10, "198.51.100.20:8080"},
      {"guard = \"web-1\"\nweight", "guard = \"Web\"\nweight", 8, "Web"},
      {"weight = 3", "weight = 0", 9, "weight"},
      {"weight = 3", "weight = 1001", 9, "weight"},
      {"weight = 3", "weight = 1.5", 9, "weight"},
      {"weight = 3", "wait = 3", 9, "wait"},
      {"ticket_lifetime_s = 8", "ticket_lifetime_s = 7", 13, "ticket_lifetime_s"},
      {"ticket_lifetime_s = 8", "ticket_lifetime_s = 4097", 13, "ticket_lifetime_s"},
      {"option_kind", "xdp_mode = \"skb\"\noption_kind", 2, "xdp_mode"},
      {"option_kind", "pin_dir = \"trap\"\noption_kind", 2, "pin_dir"},
      {"option_kind", "announce_rate = -1\noption_kind", 2, "announce_rate"},
      {"option_kind", "announce_check_s = 3601\noption_kind", 2, "announce_check_s"},
      {"option_kind", "announce_source = \"203.0.113.11\"\noption_kind", 2, "announce_source"},
      {"option_kind", "announce_source = []\noption_kind", 2, "announce_source"},
      {"option_kind", "announce_source = [\"127.0.0.1\"]\noption_kind", 2, "127.0.0.1"},
      {"option_kind", "announce_source = [\"192.0.2.1\",\n\"192.0.2.2\"]\noption_kind", 3,
       "two addresses of one family"},
      {"option_kind", "health_source = [\"::1\"]\noption_kind", 2, "::1"},
      {"option_kind", "health_source = [\"192.0.2.1:80\"]\noption_kind", 2, "health_source"},
      {"option_kind", "health_source = [\"2001:db8::1\",\n\"2001:db8::2\"]\noption_kind", 3,
       "two addresses of one family"},
      {"weight = 3", "guard_address = \"10.0.0.20:80\"", 9, "guard_address"},
      {"weight = 3", "guard_address = \"\"", 9, "guard_address"},
      {"weight = 3", "guard_address = \"224.0.0.1\"", 9, "224.0.0.1"},
      {"weight = 3", "guard_address = \"2001:db8::20\"", 9, "family"},
      {"option_kind = \"experimental\"", "option_kind = ", 2, ""},
  };
  for (const Case& c : cases) {
    const auto config = server::read_server_config(write(replaced(server_text, c.from, c.to)));
    SCOPED_TRACE(c.to);
    ASSERT_FALSE(config);
    expect_refused(config.error(), c.line, c.about);
  }
}

TEST_F(Config, two_services_on_one_address) {
  const std::string second = "[[service]]\nname = \"NAME\"\naddresses = "
                             "[\"203.0.113.10:80\"]\n[[service.backend]]\naddress = "
                             "\"198.51.100.21:80\"\nguard = \"a\"\n";
  auto config = server::read_server_config(write(server_text + replaced(second, "NAME", "api")));
  ASSERT_FALSE(config);
  expect_refused(config.error(), 16, "203.0.113.10:80");
  EXPECT_THAT(config.error().message, HasSubstr("web"));
  config = server::read_server_config(
      write(server_text + replaced(replaced(second, "NAME", "web"), "10:80", "11:80")));
  ASSERT_FALSE(config);
}

TEST_F(Config, of_backends_that_are_reached_by_another_address) {
  const std::string inside = replaced(server_text, "weight = 3", "guard_address = \"10.0.0.20\"");
  const auto config = server::read_server_config(
      write("health_source = [\"2001:db8::11\", \"203.0.113.11\"]\n" + inside));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(format_endpoint(config->services[0].backends[0].reached_at()), "10.0.0.20:8080");
  EXPECT_EQ(config->services[0].backends[1].reached_at(), config->services[0].backends[1].endpoint);
  EXPECT_EQ(format_address(*server::source_among(config->health_source, TRAP_IPV4)),
            "203.0.113.11");
  EXPECT_EQ(server::source_among(config->announce_source, TRAP_IPV4), nullptr);
  // Health is that of an address and port, so that there is one way to each.
  const std::string second = "[[service]]\nname = \"api\"\naddresses = [\"203.0.113.10:81\"]\n"
                             "[[service.backend]]\naddress = \"198.51.100.20:8080\"\n"
                             "guard = \"web-1\"\n";
  const auto two = server::read_server_config(write(inside + second));
  ASSERT_FALSE(two);
  expect_refused(two.error(), 14, "another guard_address");
}

TEST_F(Config, of_a_server_at_tc) {
  const auto config = server::read_server_config(write("attach = \"tc\"\n" + server_text));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->attach, server::Attach::tc);
  EXPECT_FALSE(server::read_server_config(write("attach = \"auto\"\n" + server_text)))
      << "nobody would know which";
}

TEST_F(Config, of_a_guard) {
  const auto config = guard::read_guard_config(write(guard_text));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->part.xdp_mode, XdpMode::generic);
  EXPECT_EQ(config->trap_servers.size(), 2u);
  ASSERT_EQ(config->services.size(), 1u);
  EXPECT_EQ(config->services[0].port, 80);
  EXPECT_TRUE(config->trusted.empty());
}

TEST_F(Config, of_a_guard_with_trusted_peers) {
  const std::string trusted = "trusted = [\"198.51.100.1\", \"10.0.0.0/8\", \"2001:db8::/64\", "
                              "\"2001:db8:1::1\"]\n[[service]]";
  const auto config = guard::read_guard_config(write(replaced(guard_text, "[[service]]", trusted)));
  ASSERT_TRUE(config) << config.error().message;
  std::string all;
  for (const Prefix& prefix : config->trusted)
    all += fmt::format("{} {};", format_prefix(prefix), prefix.bits);
  EXPECT_EQ(all, "198.51.100.1/32 128;10.0.0.0/8 104;2001:db8::/64 64;2001:db8:1::1/128 128;");
}

TEST_F(Config, of_a_guard_with_everything) {
  const std::string all = R"(mode = "monitor"
on_stale_keys = "drop"
clock_skew_s = 5
icmp = "drop"
management_ports = []
announced_per_network_per_s = 0
max_clients = 100000
max_flows = 1048576
[[class]]
name = "gold"
tags = [7, 9]
syns_per_s = 0
bytes_per_s = 65536
[[service]])";
  const std::string carrier = "port = 22\nscope_v4 = 24\nscope_v6 = 48\nsockets = \"elsewhere\"";
  const auto config = guard::read_guard_config(
      write(replaced(replaced(guard_text, "port = 80", carrier), "[[service]]", all)));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->mode, guard::Mode::monitor);
  EXPECT_TRUE(config->stale_drops);
  EXPECT_EQ(config->clock_skew_s, 5u);
  EXPECT_TRUE(config->icmp_drops);
  EXPECT_EQ(config->announced_per_network_per_s, 0u);
  EXPECT_EQ(config->max_clients, 131072u) << "a power of two";
  EXPECT_EQ(config->max_flows, 1048576u);
  EXPECT_EQ(config->services[0].scope_v4, 24);
  EXPECT_EQ(config->services[0].scope_v6, 48);
  EXPECT_FALSE(config->services[0].sockets_here);
  ASSERT_EQ(config->classes.size(), 2u);
  EXPECT_EQ(config->classes[0].name, "default");
  const auto by_tag = guard::classes_by_tag(config->classes);
  EXPECT_EQ(by_tag[7].syns.token_ns, 0u);
  EXPECT_EQ(by_tag[9].kib.token_ns, 15625000u); // 64 KiB a second
  EXPECT_GE(by_tag[9].kib.burst_ns, 64 * by_tag[9].kib.token_ns);
  EXPECT_EQ(by_tag[8].syns.token_ns, 1000000u);
  EXPECT_EQ(by_tag[8].flows, 65536u);
}

TEST_F(Config, of_a_guard_gone_wrong) {
  struct Case {
    const char* from;
    const char* to;
    int line;
    const char* about;
  };
  const Case cases[] = {
      {"\"203.0.113.1\"", "\"203.0.113.1:80\"", 3, "203.0.113.1:80"},
      {"\"203.0.113.1\"", "\"2001:db8:113::1\"", 3, "2001:db8:113::1"},
      {"trap_servers = [\"203.0.113.1\", \"2001:db8:113::1\"]", "trap_servers = []", 3,
       "trap_servers"},
      {"[[service]]", "trusted = [\"10.0.0.1:80\"]\n[[service]]", 4, "10.0.0.1:80"},
      {"[[service]]", "trusted = [\"10.0.0.1/33\"]\n[[service]]", 4, "0 to 32"},
      {"[[service]]", "trusted = [\"10.0.0.1/\"]\n[[service]]", 4, "0 to 32"},
      {"[[service]]", "trusted = [\"10.0.0.1/8\"]\n[[service]]", 4, "10.0.0.0/8"},
      {"[[service]]", "trusted = [\"0.0.0.0/0\"]\n[[service]]", 4, "everybody"},
      {"[[service]]", "trusted = [\"::/0\"]\n[[service]]", 4, "::/0"},
      {"[[service]]", "trusted = [\"::/80\"]\n[[service]]", 4, "::/80"},
      {"[[service]]", "trusted = [\"::ffff:10.0.0.1\"]\n[[service]]", 4, "10.0.0.1"},
      {"[[service]]", "trusted = [\"10.0.0.1\", \"10.0.0.1/32\"]\n[[service]]", 4, "twice"},
      {"[[service]]", "trusted = \"10.0.0.1\"\n[[service]]", 4, "trusted"},
      {"[[service]]", "mode = \"watch\"\n[[service]]", 4, "enforce"},
      {"[[service]]", "clock_skew_s = 3601\n[[service]]", 4, "0 to 3600"},
      {"[[service]]", "icmp = false\n[[service]]", 4, "icmp"},
      {"[[service]]", "management_ports = [0]\n[[service]]", 4, "1 to 65535"},
      {"[[service]]", "management_ports = [80]\n[[service]]", 5, "management"},
      {"[[service]]", "[[class]]\nname = \"a\"\n[[service]]", 4, "tags"},
      {"[[service]]", "[[class]]\nname = \"a\"\ntags = [256]\n[[service]]", 6, "0 to 255"},
      {"[[service]]", "[[class]]\nname = \"a\"\ntags = [1, 1]\n[[service]]", 6, "twice"},
      {"[[service]]",
       "[[class]]\nname = \"a\"\ntags = [1]\n[[class]]\nname = \"b\"\ntags = [1]\n[[service]]", 9,
       "class \"a\""},
      {"[[service]]", "[[class]]\nname = \"a b\"\ntags = [1]\n[[service]]", 5, "class name"},
      {"[[service]]", "[[class]]\nname = \"a\"\ntags = [1]\nbytes_per_s = 1000\n[[service]]", 4,
       "65536"},
      {"[[service]]", "[[class]]\nname = \"a\"\ntags = [1]\nflow = 1\n[[service]]", 7, "flow"},
      {"port = 80", "port = 22", 4, "management port"},
      {"port = 80", "port = 80\nscope_v4 = 7", 7, "8 to 32"},
      {"port = 80", "port = 80\nscope_v6 = 129", 7, "16 to 128"},
      {"port = 80", "port = 80\nsockets = \"here\"", 7, "elsewhere"},
      {"port = 80", "port = 0", 6, "port"},
      {"port = 80", "port = 65536", 6, "port"},
      {"port = 80", "port = \"80\"", 6, "port"},
      {"port = 80", "port = 80\nproto = 6", 7, "proto"},
      {"port = 80", "port = 80\n[[service]]\nname = \"api\"\nport = 80", 7, "80"},
      {"port = 80", "port = 80\n[[service]]\nname = \"web\"\nport = 81", 7, "name"},
  };
  for (const Case& c : cases) {
    const auto config = guard::read_guard_config(write(replaced(guard_text, c.from, c.to)));
    SCOPED_TRACE(c.to);
    ASSERT_FALSE(config);
    expect_refused(config.error(), c.line, c.about);
  }
}

TEST_F(Config, of_a_client) {
  const auto config = client::read_client_config(write(client_text));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->allow_private_targets);
  EXPECT_FALSE(
      client::read_client_config(write("interfaces = [\"eth0\"]\nxdp_mode = \"native\"\n")));
  EXPECT_FALSE(
      client::read_client_config(write("interfaces = [\"eth0\"]\nallow_private_targets = 1\n")));
}

TEST_F(Config, of_a_clients_table_sizes) {
  const auto config = client::read_client_config(
      write(client_text + "max_redirects = 100000\nmax_flows = 1048576\n"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->max_redirects, 100'000u);
  EXPECT_EQ(config->max_flows, 1'048'576u);
  for (const char* wrong :
       {"max_redirects = 1023\n", "max_redirects = 1048577\n", "max_flows = \"many\"\n"}) {
    const auto refused = client::read_client_config(write(client_text + wrong));
    ASSERT_FALSE(refused) << wrong;
    expect_refused(refused.error(), 3, "max_");
  }
}

TEST_F(Config, of_a_guards_table_sizes_within_bounds) {
  for (const char* wrong :
       {"max_clients = 1023", "max_clients = 16777217", "max_flows = 16777217", "max_flows = -1"})
    EXPECT_FALSE(guard::read_guard_config(
        write(replaced(guard_text, "[[service]]", std::string{wrong} + "\n[[service]]"))))
        << wrong;
}

TEST_F(Config, that_is_not_there_or_is_no_toml) {
  std::filesystem::remove(path_);
  auto config = client::read_client_config(path_);
  ASSERT_FALSE(config);
  expect_refused(config.error(), 0, "No such file");
  config = client::read_client_config("/");
  EXPECT_FALSE(config);
  config = client::read_client_config(write("interfaces = [\"eth0\"]\nthis is not TOML\n"));
  ASSERT_FALSE(config);
  expect_refused(config.error(), 2, "");
}

TEST(ConfigNode, is_shown_as_text_that_reads_back_the_same) {
  for (int byte = 0; byte < 0x80; byte++) {
    ConfigNode node;
    node.value = std::string("a") + static_cast<char>(byte) + "z";
    const std::string shown = format_value(node);
    const auto again = parse_config("text = " + shown, "shown.toml");
    ASSERT_TRUE(again) << byte << ": " << again.error().message;
    const ConfigNode* text = find_entry(*again, "text");
    ASSERT_NE(text, nullptr) << byte;
    EXPECT_EQ(std::get<std::string>(text->value), std::get<std::string>(node.value)) << byte;
    EXPECT_EQ(shown.find_first_of("\n\x1b\x7f"), std::string::npos) << byte;
  }
}

} // namespace
} // namespace trap::test
