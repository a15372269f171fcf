// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/report/top_talkers.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>

#include "runtime/config/endpoint.h"
#include "server/daemon/maps/client_budgets.h"

namespace trap::server {
namespace {

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
  // A table that cannot be read shows nobody.
  static_cast<void>(visit_budgets(
      clients_map_fd, [&](const trap_client_key& owner, const trap_client_budget& budget) {
        if (owner.bits == (trap_address_is_v4(&owner.prefix) ? 32U : 64U))
          talkers.push_back({owner.prefix, owner.bits, budget.handshakes});
      }));
  return top_of(std::move(talkers), how_many);
}

} // namespace trap::server
