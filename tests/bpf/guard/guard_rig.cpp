// SPDX-License-Identifier: Apache-2.0
// trap-guard in the fixtures' world: port 80 with the default scopes, port 81 with /24 and /56,
// port 83 of a service whose sockets are elsewhere. Trusted: 10.9.0.1 and 10.8.0.0/28, fd00:9::1
// and fd00:8::/32. Tag 7 is of a class with limits.
#include "tests/bpf/harness/rig.h"

#include <cstring>
#include <stdexcept>

#include "guard/maps.h"
#include "protocol/wire.h"
#include "tests/bpf/guard/guard_tables.h"
#include "trap_guard.skel.h"

namespace trap::test {
namespace {

constexpr std::uint32_t small_buckets = 64;

std::unique_ptr<Object> load_guard(bool, bool small) {
  trap_guard* skeleton = trap_guard__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_guard: " + last_libbpf_warning());
  if (small) {
    shrink_lru_maps(skeleton->obj);
    skeleton->rodata->flow_buckets = small_buckets;
    skeleton->rodata->announced_buckets = small_buckets;
    bpf_map__set_max_entries(skeleton->maps.flows, small_buckets);
    bpf_map__set_max_entries(skeleton->maps.announced, small_buckets);
  }
  if (trap_guard__load(skeleton) != 0)
    throw std::runtime_error("cannot load trap_guard: " + last_libbpf_warning());
  auto object =
      std::make_unique<Object>(skeleton->obj, [skeleton] { trap_guard__destroy(skeleton); });
  see_guard_tables(*object);
  return object;
}

std::unique_ptr<Object> load_guard_twin(bool, const Object& live) {
  trap_guard* skeleton = trap_guard__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_guard: " + last_libbpf_warning());
  skeleton->rodata->explaining = 1;
  skeleton->rodata->flow_buckets =
      bpf_map__max_entries(bpf_object__find_map_by_name(live.object(), "flows"));
  skeleton->rodata->announced_buckets =
      bpf_map__max_entries(bpf_object__find_map_by_name(live.object(), "announced"));
  load_twin_of(live, skeleton->obj, [skeleton] { return trap_guard__load(skeleton); });
  return std::make_unique<Object>(skeleton->obj, [skeleton] { trap_guard__destroy(skeleton); });
}

void trust(Object& object, const char* address, std::uint32_t bits) {
  const Address from = read_address(address);
  trap_trusted_key key = {.bits = bits, .address = {}};
  std::memcpy(key.address, &from.value, sizeof key.address);
  object.put("trusted", key, std::uint8_t{1});
}

// So slow that nothing comes back while a test runs.
trap_rate tokens(std::uint64_t burst, std::uint32_t chunk) {
  constexpr std::uint64_t token_ns = 1'000'000'000'000;
  return {.token_ns = token_ns, .burst_ns = token_ns * burst, .chunk = chunk, .reserved = 0};
}

// 3 SYNs, 8 packets in chunks of 4, 4 KiB in chunks of 1, 2 flows.
trap_guard_class limited_class() {
  return {.syns = tokens(3, 1),
          .packets = tokens(8, 4),
          .kib = tokens(4, 1),
          .flows = 2,
          .reserved = 0};
}

void configure_guard(Object& object, const World& world) {
  const std::map<std::uint32_t, trap_guard_port> ports = {
      {80, {.slot = 1, .scope_v4 = 32, .scope_v6 = 64, .flags = TRAP_PORT_SOCKETS}},
      {81, {.slot = 2, .scope_v4 = 24, .scope_v6 = 56, .flags = TRAP_PORT_SOCKETS}},
      {83, {.slot = 3, .scope_v4 = 32, .scope_v6 = 64, .flags = 0}},
  };
  for (const auto& [number, port] : ports)
    object.put("ports", number, port);
  object.put("classes", std::uint32_t{7}, limited_class());
  for (const int family : {4, 6})
    object.put("trap_servers", world.address("trap-server", family).value, trap_guard_peer{});
  trust(object, "10.9.0.1", 128);
  trust(object, "10.8.0.0", 96 + 28); // so few that a flood with invented sources has none of them
  trust(object, "fd00:9::1", 128);
  trust(object, "fd00:8::", 32);
}

void set_guard_time(Object& object, const World&, const Json& moment) {
  trap_guard_settings settings = {};
  settings.flags = TRAP_GUARD_TRUSTS;
  settings.clock_skew_s = TRAP_CLOCK_SKEW_S;
  settings.enforced_until_ns = TRAP_GUARD_ALWAYS;
  settings.keys_until_ns = TRAP_GUARD_ALWAYS;
  settings.flow_counts_until_ns = TRAP_GUARD_ALWAYS;
  settings.table_keys[0] = 0x0123456789abcdef;
  settings.table_keys[1] = 0xfedcba9876543210;
  settings.clock.anchors[0] = {
      .monotonic_ns = coarse_ns(), .unix_ns = moment["unix_ns"], .unix_s = moment["unix_s"]};
  for (const Json& e : moment["epochs"]) {
    const std::uint64_t epoch = e["epoch"];
    settings.ticket_keys.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch,
                                                              .key = read_key(e["ticket_key"])};
    settings.announce_keys.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch,
                                                                .key = read_key(e["announce_key"])};
  }
  object.put("settings", std::uint32_t{0}, settings);
}

} // namespace

const Rig& guard_rig() {
  static const Rig rig = {"guard",        load_guard, configure_guard, set_guard_time,
                          {"trap_guard"}, nullptr,    load_guard_twin};
  return rig;
}

} // namespace trap::test
