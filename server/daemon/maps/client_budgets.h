// SPDX-License-Identifier: Apache-2.0
// The rows of map `clients` (server/budgets.h), as the daemon reads and fills them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "protocol/address.h"
#include "runtime/result.h"
#include "server/maps.h"

namespace trap::server {

using VisitBudget = std::function<void(const trap_client_key&, const trap_client_budget&)>;

// The owner of an entry that is not empty.
trap_client_key owner_of_budget(std::uint64_t of);

// The word that stands for an owner in an entry.
std::uint64_t word_of_budget(const trap_client_key& owner);

// Every entry of the map, in no order.
Result<void> visit_budgets(int clients_map_fd, const VisitBudget& visit);
void visit_budgets(std::span<const trap_budget_row> rows, const VisitBudget& visit);

// Puts a budget into its row: in the place of the same owner's, or of the one that loses least.
// `secret` is the selector key of the settings.
void place_budget(std::span<trap_budget_row> rows, const trap_client_key& owner,
                  const trap_client_budget& budget, const trap_key& secret);

} // namespace trap::server
