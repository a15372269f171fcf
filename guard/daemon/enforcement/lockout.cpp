// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/enforcement/lockout.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/core.h>

namespace trap::guard {
namespace {

constexpr char established_state[] = "01";
constexpr std::size_t word_digits = 8;

// "0100007F:0050", or four such words for IPv6: words as they lie in memory, the port as a number.
std::optional<Endpoint> parse_socket_end(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon != word_digits && colon != 4 * word_digits)
    return std::nullopt;
  Endpoint end;
  __be32 words[4] = {};
  for (std::size_t i = 0; i * word_digits < colon; i++)
    words[i] = static_cast<__be32>(
        std::strtoul(text.substr(i * word_digits, word_digits).c_str(), nullptr, 16));
  if (colon == word_digits)
    end.address = trap_address_v4(words[0]);
  else
    std::copy(std::begin(words), std::end(words), end.address.be32);
  end.port = static_cast<std::uint16_t>(std::strtoul(text.c_str() + colon + 1, nullptr, 16));
  return end;
}

bool is_trusted(const GuardConfig& config, const trap_address& client) {
  return std::any_of(config.trusted.begin(), config.trusted.end(),
                     [&](const Prefix& prefix) { return covers(prefix, client); });
}

std::string ssh_warning(const ServiceConfig& service, const SshConnection& ssh) {
  const std::string client = format_address(ssh.client);
  return fmt::format(
      R"(your SSH connection from {} is to port {}, which service "{}" protects: {}: add "{}" to "trusted", or remove the service)",
      client, ssh.server_port, service.name,
      service.sockets_here ? "it stays, but you could not open another" : "it would be cut off",
      client);
}

} // namespace

std::vector<trap_flow_key> read_established(std::istream& table) {
  std::vector<trap_flow_key> connections;
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string number, near, far, state;
    if (!(words >> number >> near >> far >> state) || state != established_state)
      continue;
    const auto service = parse_socket_end(near);
    const auto client = parse_socket_end(far);
    if (!service || !client)
      continue;
    trap_flow_key key = {};
    key.client = client->address;
    key.client_port = TRAP_BE16(client->port);
    key.service = service->address;
    key.service_port = TRAP_BE16(service->port);
    connections.push_back(key);
  }
  return connections;
}

std::vector<trap_flow_key> established_here() {
  std::vector<trap_flow_key> all;
  for (const char* path : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    std::ifstream table(path);
    const auto connections = read_established(table);
    all.insert(all.end(), connections.begin(), connections.end());
  }
  return all;
}

std::vector<std::string> lockout_warnings(const GuardConfig& config,
                                          const std::optional<SshConnection>& ssh,
                                          const std::vector<trap_flow_key>& open) {
  std::vector<std::string> warnings;
  for (const ServiceConfig& service : config.services) {
    if (ssh && ssh->server_port == service.port && !is_trusted(config, ssh->client))
      warnings.push_back(ssh_warning(service, *ssh));
    if (service.sockets_here)
      continue;
    const auto is_ours = [&](const trap_flow_key& key) {
      return TRAP_FROM_BE16(key.service_port) == service.port;
    };
    const auto count = std::count_if(open.begin(), open.end(), is_ours);
    if (count == 0)
      continue;
    const std::string client =
        format_address(std::find_if(open.begin(), open.end(), is_ours)->client);
    warnings.push_back(fmt::format(
        R"({} connection{} to port {} (from {}{}) would be cut off: this host has the sockets, but service "{}" says sockets = "elsewhere": write sockets = "host")",
        count, count == 1 ? "" : "s", service.port, client, count == 1 ? "" : " and others",
        service.name));
  }
  return warnings;
}

} // namespace trap::guard
