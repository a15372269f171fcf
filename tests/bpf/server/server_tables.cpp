// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/server/server_tables.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

#include "server/daemon/maps/client_budgets.h"
#include "tests/bpf/harness/buckets.h"

namespace trap::test {

void see_server_tables(Object& object) {
  const auto rows =
      std::make_shared<Buckets<trap_budget_row>>(object.map_fd("clients"), TRAP_BUDGET_ROWS);
  object.see_as_table(
      "clients",
      {.put =
           [rows](Object& into, const Bytes& key, const Bytes& value) {
             const auto settings = into.get<trap_server_settings>("settings", std::uint32_t{0});
             server::place_budget({&(*rows)[0], rows->size()}, read_as<trap_client_key>(key),
                                  read_as<trap_client_budget>(value), settings.selector_key);
           },
       .entries =
           [rows](Object&) {
             Entries found;
             static const trap_budget_row none[32] = {}; // most rows: compared as one
             const std::size_t all = rows->size();
             for (std::size_t at = 0; at < all; at += std::size(none)) {
               const std::span some(&(*rows)[at], std::min(std::size(none), all - at));
               if (std::memcmp(some.data(), none, some.size_bytes()) == 0)
                 continue;
               server::visit_budgets(
                   some, [&](const trap_client_key& owner, const trap_client_budget& budget) {
                     found[bytes_of(owner)] = bytes_of(budget);
                   });
             }
             return found;
           },
       .clear = [rows](Object&) { rows->clear(); }});
}

} // namespace trap::test
