// SPDX-License-Identifier: Apache-2.0
// Ten million clients at a guard, announced and with budgets, in tables that the program is loaded
// with: what all of its maps take, whether a client is in them or not, as the kernel accounts for
// it (memlock in fdinfo). Entries lie where the daemon would carry them.
#include "bench/speed/measurements.h"

#include <bit>
#include <cstdio>

#include <fmt/format.h>

#include "bench/harness/proc.h"
#include "bench/harness/use_rigs.h"
#include "guard/daemon/maps/tables.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/program.h"
#include "tests/bpf/guard/guard_tables.h"
#include "tests/bpf/harness/rig.h"
#include "trap_guard.skel.h"

namespace trap::bench {
namespace {

constexpr std::uint32_t ten_million = 10'000'000, quickly_placed = 10'000;
constexpr double most_kib = 1.5 * 1024 * 1024;
// Six of ten places are taken, and some buckets of eight are full before: an announcement has one
// bucket, a client's budgets have two.
constexpr double announced_least = 0.97, budgets_least = 0.995;

std::unique_ptr<test::Object> load_guard(std::uint32_t clients) {
  guard::GuardConfig config;
  config.max_clients = std::bit_ceil(clients);
  return test::object_of(Program<trap_guard>::load([&](trap_guard& skeleton) {
    skeleton.rodata->announced_buckets = guard::announced_buckets(config);
    skeleton.rodata->client_buckets = guard::client_buckets(config);
    bpf_map__set_max_entries(skeleton.maps.announced, guard::announced_buckets(config));
    bpf_map__set_max_entries(skeleton.maps.client_budgets, guard::client_buckets(config));
    bpf_map__set_max_entries(skeleton.maps.networks, guard::most_networks(config));
  }));
}

template <class Bucket>
Result<MappedArray<Bucket>> table(const test::Object& object, const char* name) {
  const bpf_map* map = bpf_object__find_map_by_name(object.object(), name);
  return MappedArray<Bucket>::make(bpf_map__fd(map), bpf_map__max_entries(map), name);
}

struct Placed {
  std::uint64_t announced = 0, budgets = 0;
};

// Addresses in a row, as those of a provider's customers are.
Result<Placed> place(const test::Object& object, std::uint32_t clients) {
  constexpr __u64 table_keys[2] = {0x0123456789abcdef, 0xfedcba9876543210};
  trap_client_keys secret = {};
  for (std::uint64_t i = 0; i < TRAP_CLIENT_KEYS; i++)
    secret.words[i] = (2 * i + 1) * 0xd1b54a32d192ed03;
  auto announced = table<trap_announced_bucket>(object, "announced");
  if (!announced)
    return announced.error();
  auto budgets = table<trap_client_bucket>(object, "client_budgets");
  if (!budgets)
    return budgets.error();
  Placed placed;
  trap_announced_entry entry = {};
  entry.key.port = TRAP_BE16(80);
  entry.key.scope = TRAP_SCOPE_V4;
  entry.value.until_s = ~0U;
  trap_guard_client client = {};
  client.flows = 1;
  for (std::uint32_t i = 0; i < clients; i++) {
    entry.key.client = trap_address_v4(TRAP_BE32(0x14000000 + i));
    placed.announced += guard::place_announced(announced->values(), entry, table_keys);
    const trap_guard_client_key key = {.prefix = entry.key.client, .slot = 1, .reserved = 0};
    placed.budgets +=
        guard::place_client(budgets->values(), trap_client_print(&key, &secret), client);
  }
  return placed;
}

Result<void> measure(bool quick, Report& report) {
  const std::uint32_t clients = quick ? quickly_placed : ten_million;
  auto object = load_guard(clients);
  const auto placed = place(*object, clients);
  if (!placed)
    return placed.error();
  double kib = 0;
  for (const std::string& map : object->map_names()) {
    const auto taken = map_kib(object->map_fd(map));
    if (!taken)
      return taken.error();
    std::printf("  %-20s %12.0f KiB\n", map.c_str(), *taken);
    kib += *taken;
  }
  const double announced = static_cast<double>(placed->announced) / clients;
  const double budgets = static_cast<double>(placed->budgets) / clients;
  std::printf("%u clients at a guard: maps %.0f KiB; of their announcements %.2f%% found room, of "
              "their budgets %.2f%%\n",
              clients, kib, announced * 100, budgets * 100);
  Line line{"memory-clients", "trap-guard", 0, "maps", "KiB", kib, kib, kib};
  line.more = {{"clients", clients}};
  report.add(std::move(line));
  if (!quick)
    report.add(Target{"memory: all maps of a guard with ten million clients", kib, Bound::at_most,
                      most_kib, "KiB"});
  report.add(Target{"memory: announcements that found room, six of ten places taken", announced,
                    Bound::at_least, announced_least, "share"});
  report.add(Target{"memory: budgets that found room, six of ten places taken", budgets,
                    Bound::at_least, budgets_least, "share"});
  return {};
}

} // namespace

Result<void> measure_client_memory(bool quick, Report& report) {
  return use_rigs([&] { return measure(quick, report); });
}

} // namespace trap::bench
