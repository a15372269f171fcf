// SPDX-License-Identifier: Apache-2.0
// [[trust]] and the client's other keys: what is read, and what is refused with its line.
#include "client/daemon/config/trust_config.h"

#include <cstdlib>
#include <fstream>

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <unistd.h>

namespace trap::client {
namespace {

using testing::HasSubstr;

Result<ClientConfig> read(const std::string& text) {
  char path[] = "/tmp/trap-client-config-XXXXXX";
  const int fd = mkstemp(path);
  std::ofstream(path) << "interfaces = [\"eth0\"]\n" << text;
  close(fd);
  auto config = read_client_config(path);
  unlink(path);
  return config;
}

void expect_refused(const std::string& text, const std::string& line, const std::string& why) {
  auto config = read(text);
  ASSERT_FALSE(config) << text;
  EXPECT_THAT(config.error().message, HasSubstr(line));
  EXPECT_THAT(config.error().message, HasSubstr(why));
  EXPECT_EQ(config.error().exit_code, ExitCode::usage);
}

TEST(TrustedService, prefix_and_port_in_all_their_forms) {
  for (const char* text :
       {"203.0.113.0/24", "203.0.113.10/32", "203.0.113.10/32:443", "203.0.113.0/24:80",
        "2001:db8::/32", "[2001:db8::/32]:443", "2001:db8::1/128", "[2001:db8::1/128]:65535"}) {
    auto service = parse_trusted_service(text);
    ASSERT_TRUE(service) << text << ": " << service.error().message;
    EXPECT_EQ(format_trusted_service(*service), text);
  }
  EXPECT_EQ(parse_trusted_service("203.0.113.10:443")->port, 443);
  EXPECT_EQ(format_trusted_service(*parse_trusted_service("[2001:db8::1]:443")),
            "[2001:db8::1/128]:443");
}

TEST(TrustedService, anything_else_is_refused) {
  for (const char* text : {"", ":", "203.0.113.10:", "203.0.113.10:0", "203.0.113.10:65536",
                           "203.0.113.10:http", "203.0.113.1/24", "[2001:db8::1]", "[2001:db8::1]:",
                           "[2001:db8::1]443", "example.org:80", "203.0.113.0/33", "::/0"})
    EXPECT_FALSE(parse_trusted_service(text)) << text;
}

TEST(ClientConfig, defaults) {
  auto config = read("");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->allow_private_targets);
  EXPECT_FALSE(config->only_trusted);
  EXPECT_TRUE(config->renew);
  EXPECT_TRUE(config->trusts.empty() && config->lan.empty() && config->part.except.empty());
}

TEST(ClientConfig, trusts_are_read) {
  auto config = read(
      "only_trusted = true\nlan = [\"br0\", \"veth*\"]\nexcept = [\"docker*\"]\nrenew = false\n"
      "[[trust]]\nservices = [\"203.0.113.10:443\", \"2001:db8:113::/48\"]\ntargets = "
      "[\"198.51.100.0/24\", \"2001:db8:51::/48\"]\n"
      "[[trust]]\nservices = [\"203.0.113.10\"]\ntargets = [\"10.0.0.0/8\"]\n");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->trusts.size(), 2u);
  EXPECT_EQ(config->trusts[0].services.size(), 2u);
  EXPECT_EQ(config->trusts[0].targets.size(), 2u);
  EXPECT_EQ(format_prefix(config->trusts[1].targets[0]), "10.0.0.0/8");
  EXPECT_TRUE(config->only_trusted);
  EXPECT_FALSE(config->renew);
}

TEST(ClientConfig, consent_is_required_unless_it_says_otherwise) {
  EXPECT_TRUE(read("")->require_consent);
  EXPECT_FALSE(read("require_consent = false\n")->require_consent);
}

TEST(ClientConfig, a_translator_has_a_prefix_of_rfc_6052_or_is_not_there) {
  EXPECT_FALSE(read("")->nat64);
  EXPECT_EQ(read("nat64_prefix = \"none\"\n")->nat64->bits, 0U);
  EXPECT_EQ(format_prefix(*read("nat64_prefix = \"2001:db8:64::/96\"\n")->nat64),
            "2001:db8:64::/96");
  for (const char* wrong : {"2001:db8:64::/95", "10.0.0.0/8", "0.0.0.0/0", "2001:db8:64::1", "any"})
    expect_refused(fmt::format("nat64_prefix = \"{}\"\n", wrong), ":2: ", "nat64_prefix: ");
}

TEST(ClientConfig, mistakes_are_named_with_their_line) {
  const std::string services = "[[trust]]\nservices = [\"203.0.113.10:443\"]\n";
  expect_refused("[[trust]]\ntargets = [\"198.51.100.0/24\"]\n",
                 ":2: ", "key \"services\" is missing");
  expect_refused(services, ":2: ", "key \"targets\" is missing");
  expect_refused("[[trust]]\nservices = [\"web\"]\ntargets = [\"198.51.100.0/24\"]\n",
                 ":3: ", "services: ");
  expect_refused(services + "targets = [\"198.51.100.1/24\"]\n", ":4: ", "write 198.51.100.0/24");
  expect_refused(services + "targets = [\"127.0.0.0/8\"]\n",
                 ":4: ", "no client follows a redirect to 127.0.0.0/8");
  expect_refused(services + "targets = [\"fe80::/10\"]\n",
                 ":4: ", "no client follows a redirect to fe80::/10");
  expect_refused(services + "targets = [\"2001:db8::/32\"]\n",
                 ":2: ", "name a target that is IPv4");
  expect_refused(services + "targets = [\"198.51.100.0/24\", \"198.51.100.0/24\"]\n",
                 ":4: ", "is listed twice");
  expect_refused(services + "targets = [\"198.51.100.0/24\"]\n" + services +
                     "targets = [\"10.0.0.0/8\"]\n",
                 ":5: ", "another [[trust]] names");
  expect_refused(services + "targets = [\"198.51.100.0/24\"]\nports = [1]\n",
                 ":5: ", "unknown key \"ports\"");
  expect_refused("only_trusted = true\n", ":2: ", "without a [[trust]]");
  expect_refused("lan = [\"eth0\"]\n", ":2: ", "\"eth0\" is both in \"interfaces\" and \"lan\"");
  expect_refused("except = [\"eth0\"]\n",
                 ":2: ", "\"eth0\" is both in \"interfaces\" and \"except\"");
  expect_refused("lan = [\"br0\"]\nexcept = [\"br0\"]\n",
                 ":3: ", "\"br0\" is both in \"lan\" and \"except\"");
  expect_refused("lan = [\"a/b\"]\n", ":2: ", "cannot be an interface's name");
}

} // namespace
} // namespace trap::client
