// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/running/guard_takeover.h"

#include <algorithm>
#include <cerrno>
#include <sys/mman.h>

#include "guard/tables.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/takeover/upon_pins.h"
#include "trap_guard.skel.h"

namespace trap::guard {
namespace {

struct Carried {
  std::uint64_t entered = 0;
  std::uint64_t refused = 0;
};

// Visits a table of buckets for writing. `enter` says whether there was room.
template <class Bucket, class Enter>
Result<Carried> carry_buckets(const EarlierMap* earlier, const bpf_map* map, const Enter& enter) {
  Carried carried;
  if (!earlier)
    return carried;
  const std::size_t count = bpf_map__max_entries(map);
  void* at = mmap(nullptr, count * sizeof(Bucket), PROT_READ | PROT_WRITE, MAP_SHARED,
                  bpf_map__fd(map), 0);
  if (at == MAP_FAILED)
    return map_error(bpf_map__name(map), "map into memory", errno);
  const std::span<Bucket> table(static_cast<Bucket*>(at), count);
  earlier->visit([&](const void*, const void* value) {
    for (const auto& entry : static_cast<const Bucket*>(value)->entries) {
      const std::optional<bool> room = enter(table, entry);
      carried.entered += room.value_or(false);
      carried.refused += room && !*room;
    }
  });
  munmap(at, count * sizeof(Bucket));
  return carried;
}

// Those of other sizes lie in buckets; those of an earlier version in a hash, which names clients
// without a print. What such a client's SYNs by announcement had left is not kept.
Carried carry_clients(RunningGuard& guard) {
  const EarlierMap* earlier = guard.takeover.earlier("client_budgets");
  const std::span<trap_client_bucket> table = guard.client_budgets.values();
  Carried carried;
  if (!earlier)
    return carried;
  const auto enter = [&](std::uint64_t print, const trap_guard_client& client) {
    const bool room = place_client(table, print, client);
    carried.entered += room;
    carried.refused += !room;
  };
  const bool is_hash = earlier->layout().type == BPF_MAP_TYPE_LRU_HASH;
  earlier->visit([&](const void* key, const void* value) {
    if (is_hash) {
      enter(trap_client_print(static_cast<const trap_guard_client_key*>(key), &guard.client_secret),
            *static_cast<const trap_guard_client*>(value));
      return;
    }
    const auto& bucket = *static_cast<const trap_client_bucket*>(value);
    for (std::size_t i = 0; i < TRAP_CLIENT_WAYS; i++) {
      if ((bucket.prints[i] & TRAP_CLIENT_IS_THERE) != 0)
        enter(bucket.prints[i], bucket.clients[i]);
    }
  });
  return carried;
}

// An earlier version marked no half-open flow: for as long as those that it made may live, every
// segment looks for its own.
Result<void> mark_all_half_open(const RunningGuard& guard, std::uint64_t monotonic_ns) {
  if (!guard.takeover.is_new("half_open_marks"))
    return {};
  auto marks = MappedValue<trap_half_open_marks>::make(
      bpf_map__fd(guard.program->maps.half_open_marks), "half_open_marks");
  if (!marks)
    return marks.error();
  std::ranges::fill((*marks)->seen, trap_half_open_mark(monotonic_ns));
  return {};
}

Result<void> enter_earlier(RunningGuard& guard, bool again) {
  const trap_clock_anchor now = read_clocks();
  if (auto marked = mark_all_half_open(guard, now.monotonic_ns); !marked)
    return marked.error();
  auto flows = carry_buckets<trap_flow_bucket>(
      guard.takeover.earlier("flows"), guard.program->maps.flows,
      [&](std::span<trap_flow_bucket> table, const trap_flow_entry& flow) -> std::optional<bool> {
        if (!trap_flow_is_live(&flow.value, now.monotonic_ns) ||
            (flow.value.flags & TRAP_FLOW_HALF_OPEN) != 0)
          return std::nullopt;
        return place_flow(table, flow, guard.flow_secret, now.monotonic_ns);
      });
  if (!flows)
    return flows.error();
  auto announced = carry_buckets<trap_announced_bucket>(
      guard.takeover.earlier("announced"), guard.program->maps.announced,
      [&](std::span<trap_announced_bucket> table,
          const trap_announced_entry& entry) -> std::optional<bool> {
        if (entry.value.until_s <= now.unix_s)
          return std::nullopt;
        return place_announced(table, entry, guard.settings->table_keys);
      });
  if (!announced)
    return announced.error();
  const auto clients = carry_clients(guard);
  if (!again && flows->entered + announced->entered + clients.entered != 0)
    log::info("of an earlier layout or size: {} flows, {} announced clients and the budgets of {} "
              "clients go on",
              flows->entered, announced->entered, clients.entered);
  if (!again && flows->refused + announced->refused + clients.refused != 0)
    log::warn("no room for {} flows, {} announced clients and the budgets of {} clients of the "
              "earlier run: raise max_flows or max_clients",
              flows->refused, announced->refused, clients.refused);
  return {};
}

} // namespace

// Keys are derived again from the secret.
TakeoverPlan takeover_plan() {
  return {{"flows", {.carry = Carry::by_part}},
          {"announced", {.carry = Carry::by_part}},
          {"client_budgets",
           {.carry = Carry::by_part,
            .former_name = "admitted",
            .former_entries = {{"trap_guard_client_key", "trap_guard_client"}}}},
          {"settings", {.given_up = {"ticket_keys", "announce_keys"}}}};
}

Result<void> check_takeover(const GuardConfig& config) {
  return check_upon_pins<trap_guard>(
      config.part.pin_dir, "trap-guard", takeover_plan(),
      [&](trap_guard& skeleton) { prepare_skeleton(skeleton, config); });
}

Result<void> carry_tables(RunningGuard& guard) {
  make_table_keys(*guard.settings);
  auto secret = make_flow_secret(guard.fds);
  if (!secret)
    return secret.error();
  guard.flow_secret = secret->keys;
  auto client_secret = make_client_secret(guard.fds);
  if (!client_secret)
    return client_secret.error();
  guard.client_secret = *client_secret;
  return enter_earlier(guard, false);
}

Result<void> finish_takeover(RunningGuard& guard) {
  if (auto entered = enter_earlier(guard, true); !entered)
    return entered.error();
  return guard.takeover.finish();
}

} // namespace trap::guard
