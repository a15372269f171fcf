// SPDX-License-Identifier: Apache-2.0
// trap-guard in the fixtures' world: port 80 with the default scopes, port 81 with /24 and /56. Trusted: 10.9.0.1 and 10.8.0.0/28,
// fd00:9::1 and fd00:8::/32.
#include "tests/bpf/rig.h"

#include <cstring>
#include <stdexcept>

#include "guard/maps.h"
#include "trap_guard.skel.h"

namespace trap::test {
namespace {

std::unique_ptr<Object> load_guard(bool, bool small) {
  trap_guard* skeleton = trap_guard__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_guard: " + last_libbpf_warning());
  if (small)
    shrink_lru_maps(skeleton->obj);
  if (trap_guard__load(skeleton) != 0)
    throw std::runtime_error("cannot load trap_guard: " + last_libbpf_warning());
  return std::make_unique<Object>(skeleton->obj, [skeleton] { trap_guard__destroy(skeleton); });
}

void trust(Object& object, const char* address, std::uint32_t bits) {
  const Address from = read_address(address);
  trap_trusted_key key = {.bits = bits, .address = {}};
  std::memcpy(key.address, &from.value, sizeof key.address);
  object.put("trusted", key, std::uint8_t{1});
}

void configure_guard(Object& object, const World& world) {
  const std::uint32_t ports[] = {80, 81};
  const trap_guard_service services[] = {{.scope_v4 = 32, .scope_v6 = 64, .reserved = {}},
                                         {.scope_v4 = 24, .scope_v6 = 56, .reserved = {}}};
  for (std::uint32_t i = 0; i < 2; i++) {
    object.put("ports", ports[i], i + 1);
    object.put("services", i + 1, services[i]);
  }
  for (const int family : {4, 6})
    object.put("trap_servers", world.address("trap-server", family).value, std::uint8_t{1});
  trust(object, "10.9.0.1", 128);
  trust(object, "10.8.0.0", 96 + 28); // so few that a flood with invented sources has none of them
  trust(object, "fd00:9::1", 128);
  trust(object, "fd00:8::", 32);
}

void set_guard_time(Object& object, const World&, const Json& moment) {
  trap_guard_settings settings = {};
  settings.flags = TRAP_GUARD_TRUSTS;
  settings.clock.anchors[0] = {.monotonic_ns = coarse_ns(), .unix_ns = moment["unix_ns"], .unix_s = moment["unix_s"]};
  for (const Json& e : moment["epochs"]) {
    const std::uint64_t epoch = e["epoch"];
    settings.ticket_keys.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch, .key = read_key(e["ticket_key"])};
    settings.announce_keys.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch, .key = read_key(e["announce_key"])};
  }
  object.put("settings", std::uint32_t{0}, settings);
}

} // namespace

const Rig& guard_rig() {
  static const Rig rig = {"guard", load_guard, configure_guard, set_guard_time, {"trap_guard"}};
  return rig;
}

} // namespace trap::test
