// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/ssh_connection.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include <fmt/core.h>

namespace trap {
namespace {

constexpr char ssh_variable[] = "SSH_CONNECTION=";
constexpr int ancestors_searched = 16;

std::optional<std::string> variable_of(pid_t process) {
  std::ifstream environment(fmt::format("/proc/{}/environ", process));
  for (std::string entry; std::getline(environment, entry, '\0');) {
    if (entry.starts_with(ssh_variable))
      return entry.substr(sizeof(ssh_variable) - 1);
  }
  return std::nullopt;
}

// 0 if there is none.
pid_t parent_of(pid_t process) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("PPid:"))
      return static_cast<pid_t>(std::strtol(line.c_str() + sizeof("PPid:") - 1, nullptr, 10));
  }
  return 0;
}

} // namespace

std::optional<SshConnection> parse_ssh_connection(const std::string& value) {
  std::istringstream words(value);
  std::string client, client_port, server;
  unsigned server_port = 0;
  if (!(words >> client >> client_port >> server >> server_port) || server_port == 0 ||
      server_port > 65535)
    return std::nullopt;
  auto address =
      parse_address(client.starts_with("::ffff:") ? client.substr(sizeof("::ffff:") - 1) : client);
  if (!address)
    return std::nullopt;
  return SshConnection{*address, static_cast<std::uint16_t>(server_port)};
}

std::optional<SshConnection> find_ssh_connection() {
  if (const char* value = std::getenv("SSH_CONNECTION"))
    return parse_ssh_connection(value);
  pid_t process = getppid();
  for (int i = 0; i < ancestors_searched && process > 1; i++, process = parent_of(process)) {
    if (auto value = variable_of(process))
      return parse_ssh_connection(*value);
  }
  return std::nullopt;
}

} // namespace trap
