// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/running/server_takeover.h"

#include "runtime/kernel/bpf_map.h"
#include "runtime/takeover/upon_pins.h"
#include "server/daemon/maps/client_budgets.h"
#include "server/daemon/plan/service_table.h"
#include "trap_server.skel.h"

namespace trap::server {
namespace {

struct BudgetTable {
  trap_budget_row rows[TRAP_BUDGET_ROWS];
};

} // namespace

// Keys are derived again from the master key. What is known of connections and handshakes is found
// out again: a connection that the filter does not know is looked up.
TakeoverPlan takeover_plan() {
  return {{"clients",
           {.carry = Carry::by_part,
            .former_entries = EntryForm{"trap_client_key", "trap_client_budget"}}},
          {"service_table", {.carry = Carry::by_part, .former_name = "places"}},
          {"settings",
           {.given_up = {"selector_key", "cookie_keys", "known_until_ns", "known_generation"}}},
          {"guards", {.given_up = {"ticket_keys"}}},
          {"connection_filter", {.carry = Carry::nothing}},
          {"time_wait_filter", {.carry = Carry::nothing}},
          {"recent_handovers", {.carry = Carry::nothing}},
          {"watched_handovers", {.carry = Carry::nothing}},
          {"senders", {.carry = Carry::nothing}},
          {"next_hops", {.carry = Carry::nothing}},
          {"own_macs", {.carry = Carry::nothing}},
          {"allowances", {.carry = Carry::nothing}},
          {"behind", {.carry = Carry::nothing}},
          {"assigner", {.carry = Carry::nothing}}};
}

Result<void> check_takeover(const ServerConfig& config) {
  return check_upon_pins<trap_server>(config.part.pin_dir, "trap-server", takeover_plan(), {});
}

Result<void> carry_services(RunningServer& server) {
  const EarlierMap* earlier = server.takeover.earlier("service_table");
  if (!earlier)
    return {};
  PlaceTable table;
  earlier->visit([&](const void*, const void* value) {
    table.push_back(*static_cast<const trap_place*>(value));
  });
  auto changes = change_places(PlaceTable(TRAP_PLACES), placed_services(services_in(table)));
  if (!changes)
    return changes.error();
  for (const PlaceWrite& write : changes->added) {
    if (auto written =
            map_write(server.maps->fds().places, "service_table", write.place, write.value);
        !written)
      return written.error();
  }
  return {};
}

Result<void> carry_budgets(RunningServer& server) {
  const EarlierMap* earlier = server.takeover.earlier("clients");
  if (!earlier)
    return {};
  auto table = MappedValue<BudgetTable>::make(server.maps->fds().clients, "clients");
  if (!table)
    return table.error();
  const trap_key secret = derive_selector_key(server.active->master);
  earlier->visit([&](const void* key, const void* value) {
    place_budget((*table)->rows, *static_cast<const trap_client_key*>(key),
                 *static_cast<const trap_client_budget*>(value), secret);
  });
  return {};
}

} // namespace trap::server
