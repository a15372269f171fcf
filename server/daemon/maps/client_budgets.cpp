// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/maps/client_budgets.h"

#include <algorithm>

#include "runtime/kernel/bpf_map.h"
#include "server/budgets.h"

namespace trap::server {
namespace {

constexpr std::uint64_t mark = 0xff, prefix_bits = 48;

} // namespace

trap_client_key owner_of_budget(std::uint64_t of) {
  trap_client_key owner = {};
  if (of >> 56 != mark) {
    owner.prefix.raw64[0] = __builtin_bswap64(of);
    owner.bits = 64;
    return owner;
  }
  owner.bits = static_cast<unsigned>(of >> prefix_bits & 0xff);
  const std::uint64_t prefix = of & ((1ULL << prefix_bits) - 1);
  if (owner.bits == 48)
    owner.prefix.raw64[0] = __builtin_bswap64(prefix << 16);
  else if (owner.bits != 64) // which is ::/64, whose prefix is zero
    owner.prefix =
        trap_address_v4(TRAP_BE32(static_cast<std::uint32_t>(prefix << (32 - owner.bits))));
  return owner;
}

std::uint64_t word_of_budget(const trap_client_key& owner) {
  return trap_budget_of(&owner.prefix, trap_address_is_v4(&owner.prefix) ? TRAP_IPV4 : TRAP_IPV6,
                        owner.bits);
}

void visit_budgets(std::span<const trap_budget_row> rows, const VisitBudget& visit) {
  for (const trap_budget_row& row : rows)
    for (const trap_budget_entry& entry : row.entries)
      if (entry.of != 0 && entry.of != TRAP_BUDGET_CLAIMED)
        visit(owner_of_budget(entry.of), entry.budget);
}

Result<void> visit_budgets(int clients_map_fd, const VisitBudget& visit) {
  const auto rows = MappedArray<trap_budget_row>::make(clients_map_fd, TRAP_BUDGET_ROWS, "clients");
  if (!rows)
    return rows.error();
  visit_budgets(rows->values(), visit);
  return {};
}

void place_budget(std::span<trap_budget_row> rows, const trap_client_key& owner,
                  const trap_client_budget& budget, const trap_key& secret) {
  const std::uint64_t of = word_of_budget(owner);
  auto& entries = rows[trap_budget_row_of(of, &secret)].entries;
  auto* entry = std::ranges::find(entries, of, &trap_budget_entry::of);
  if (entry == std::end(entries))
    entry = std::ranges::min_element(entries, {}, [](const trap_budget_entry& one) {
      return one.of == 0 ? 0 : one.budget.bucket.full_at_ns + 1;
    });
  *entry = {.of = of, .budget = budget, .reserved = 0};
}

} // namespace trap::server
