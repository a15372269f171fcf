// SPDX-License-Identifier: Apache-2.0
#include "ctl/doctor/doctor_listening.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "runtime/fd.h"

namespace trap::ctl {
namespace {

constexpr std::size_t table_limit_bytes = 64 << 20;
constexpr char listening_state[] = "0A";

// "0100007F:1F90": words of the address as this machine reads them, and the port.
bool read_local(const std::string& text, Endpoint& endpoint) {
  const std::size_t colon = text.find(':');
  unsigned words[4];
  unsigned port = 0;
  if (colon == 8 && sscanf(text.c_str(), "%8X:%4X", &words[0], &port) == 2)
    endpoint.address = trap_address_v4(words[0]);
  else if (colon == 32 && sscanf(text.c_str(), "%8X%8X%8X%8X:%4X", &words[0], &words[1], &words[2],
                                 &words[3], &port) == 5)
    std::copy(words, words + 4, endpoint.address.be32);
  else
    return false;
  endpoint.port = static_cast<std::uint16_t>(port);
  return true;
}

bool is_any(const trap_address& address) {
  const trap_address any_v4 = trap_address_v4(0);
  const trap_address any_v6 = {};
  return trap_address_equal(&address, &any_v4) || trap_address_equal(&address, &any_v6);
}

} // namespace

void Listeners::add(const std::string& table) {
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, local, remote, state;
    Endpoint endpoint;
    if (words >> number >> local >> remote >> state && state == listening_state &&
        read_local(local, endpoint))
      listeners_.push_back(endpoint);
  }
}

bool Listeners::at_port(std::uint16_t port) const {
  return std::any_of(listeners_.begin(), listeners_.end(),
                     [&](const Endpoint& listener) { return listener.port == port; });
}

bool Listeners::at(const Endpoint& endpoint) const {
  const trap_address any_v6 = {};
  return std::any_of(listeners_.begin(), listeners_.end(), [&](const Endpoint& listener) {
    if (listener.port != endpoint.port)
      return false;
    const bool of_all =
        is_any(listener.address) && (trap_address_equal(&listener.address, &any_v6) ||
                                     family_of(listener.address) == family_of(endpoint.address));
    return of_all || trap_address_equal(&listener.address, &endpoint.address);
  });
}

Listeners read_listeners() {
  Listeners listeners;
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    if (auto table = read_file(path, table_limit_bytes, FileTrust::any))
      listeners.add(*table);
  }
  return listeners;
}

} // namespace trap::ctl
