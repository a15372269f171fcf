// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/top_talkers.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>

#include "runtime/config/endpoint.h"
#include "runtime/kernel/bpf_map.h"
#include "server/maps.h"

namespace trap::server {
namespace {

// As the program makes keys: a client's entry is its /32 or /64, that of its network its /24 or
// /48.
bool is_client(const trap_client_key& key) {
  return key.bits == (trap_address_is_v4(&key.prefix) ? 32U : 64U);
}

// Equal counts in the order of addresses, so that a list does not jump about.
bool comes_before(const Talker& a, const Talker& b) {
  if (a.handshakes != b.handshakes)
    return a.handshakes > b.handshakes;
  return std::memcmp(a.prefix.bytes, b.prefix.bytes, sizeof(a.prefix.bytes)) < 0;
}

} // namespace

std::string format_talker(const Talker& talker) {
  return fmt::format("{}/{}", format_address(talker.prefix), talker.bits);
}

std::vector<Talker> top_of(std::vector<Talker> talkers, std::size_t how_many) {
  const auto end =
      talkers.begin() + static_cast<std::ptrdiff_t>(std::min(how_many, talkers.size()));
  std::partial_sort(talkers.begin(), end, talkers.end(), comes_before);
  talkers.erase(end, talkers.end());
  return talkers;
}

std::vector<Talker> top_talkers(int clients_map_fd, std::size_t how_many) {
  std::vector<Talker> talkers;
  map_visit<trap_client_key, trap_client_budget>(
      clients_map_fd, [&](const trap_client_key& key, const trap_client_budget& budget) {
        if (is_client(key))
          talkers.push_back({key.prefix, key.bits, budget.handshakes});
      });
  return top_of(std::move(talkers), how_many);
}

} // namespace trap::server
