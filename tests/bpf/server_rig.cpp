// SPDX-License-Identifier: Apache-2.0
// trap-server in the fixtures' world: public:80 with OFFER, second:80 without, public:81 without backend; served: public:82 with backend,
// public:83 without; public:84 as 82, at peace; public:85 as 82, with policies; public:86 as 80, silent; public:87 as 80, with a cap.
#include "tests/bpf/rig.h"

#include <stdexcept>

#include "server/maps.h"
#include "trap_server.skel.h"

namespace trap::test {
namespace {

std::unique_ptr<Object> load_server(bool experimental, bool) {
  trap_server* skeleton = trap_server__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_server: " + last_libbpf_warning());
  skeleton->rodata->send_experimental = experimental ? 1 : 0;
  if (trap_server__load(skeleton) != 0)
    throw std::runtime_error("cannot load trap_server: " + last_libbpf_warning());
  return std::make_unique<Object>(skeleton->obj, [skeleton] { trap_server__destroy(skeleton); });
}

void add_place(Object& object, const trap_address& address, int port, std::uint32_t slot) {
  trap_place place = {};
  place.slot = slot;
  place.port = TRAP_BE16(port);
  place.state = TRAP_PLACE_TAKEN;
  place.address = address;
  std::uint32_t at = trap_place_of(&address, place.port);
  for (int probe = 0; probe < TRAP_PLACE_PROBES; probe++, at = (at + 1) % TRAP_PLACES) {
    const auto there = object.get<trap_place>("places", at);
    const bool same = there.port == place.port && trap_address_equal(&there.address, &address);
    if (there.state == TRAP_PLACE_TAKEN && !same)
      continue;
    object.put("places", at, place);
    return;
  }
  throw std::runtime_error("no place for a service");
}

// The slot is its pool's index, too.
void add_service(Object& object, const Address& address, int port, std::uint32_t slot, std::uint32_t flags) {
  add_place(object, address.value, 0, 0);
  add_place(object, address.value, port, slot);
  trap_service service = {};
  service.flags = flags;
  service.pool = slot;
  service.mss = TRAP_BE16(1400);
  service.window = TRAP_BE16(64240);
  service.window_scale = 7;
  object.put("services", slot, service);
}

constexpr std::uint32_t served = TRAP_SERVICE_SERVES | TRAP_SERVICE_SOCKETS | TRAP_SERVICE_TIMESTAMPS | TRAP_SERVICE_SACK | TRAP_SERVICE_SCALES;

// Slots from 10 for IPv4, from 20 for IPv6.
void add_more_services(Object& object, const Address& public_address, std::uint32_t first_slot) {
  add_service(object, public_address, 82, first_slot + 2, served | TRAP_SERVICE_OFFERS);
  add_service(object, public_address, 83, first_slot + 3, served);
  add_service(object, public_address, 84, first_slot + 4, served | TRAP_SERVICE_OFFERS | TRAP_SERVICE_RESTS);
  add_service(object, public_address, 85, first_slot + 5, served | TRAP_SERVICE_OFFERS | TRAP_SERVICE_POLICED);
  add_service(object, public_address, 86, first_slot + 6, TRAP_SERVICE_OFFERS | TRAP_SERVICE_SILENT);
  add_service(object, public_address, 87, first_slot + 7, TRAP_SERVICE_OFFERS | TRAP_SERVICE_CAPPED);
}

void configure_server(Object& object, const World& world) {
  std::uint32_t index = 0;
  for (const int family : {4, 6}) {
    const std::uint32_t first_slot = 1 + 3 * index;
    add_service(object, world.address("public", family), 80, first_slot, TRAP_SERVICE_OFFERS);
    add_service(object, world.address("second", family), 80, first_slot + 1, 0);
    add_service(object, world.address("public", family), 81, first_slot + 2, TRAP_SERVICE_OFFERS);

    trap_backend backend = {};
    backend.address = world.address("backend", family).value;
    backend.port = TRAP_BE16(80);
    backend.lifetime_s = TRAP_BE16(600);
    backend.scope_v4 = TRAP_SCOPE_V4;
    backend.scope_v6 = TRAP_SCOPE_V6;
    object.put("backends", index, backend);

    trap_selection selection = {};
    selection.backend_count = 1;
    for (auto& choice : selection.backends)
      choice = static_cast<__u16>(index);
    add_more_services(object, world.address("public", family), 10 + 10 * index);
    for (const std::uint32_t pool : {first_slot, first_slot + 1, 12 + 10 * index, 14 + 10 * index, 15 + 10 * index, 17 + 10 * index})
      object.put("selections", pool, selection);
    index++;
  }
}

void set_server_time(Object& object, const World& world, const Json& moment) {
  trap_server_settings settings = {};
  trap_server_guard guard = {};
  settings.clock.anchors[0] = {.monotonic_ns = coarse_ns(), .unix_ns = moment["unix_ns"], .unix_s = moment["unix_s"]};
  settings.selector_key = world.selector_key();
  for (const Json& e : moment["epochs"]) {
    const std::uint64_t epoch = e["epoch"];
    settings.cookie_keys.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch, .key = read_key(e["cookie_key"])};
    guard.ticket_keys.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch, .key = read_key(e["ticket_key"])};
  }
  const std::uint32_t zero = 0;
  object.put("settings", zero, settings);
  object.put("guards", zero, guard);
}

} // namespace

const Rig& server_rig() {
  static const Rig rig = {"server", load_server, configure_server, set_server_time, {"trap_server"}};
  return rig;
}

} // namespace trap::test
