// SPDX-License-Identifier: Apache-2.0
// trap-server in the fixtures' world: public:80 with OFFER, second:80 without, public:81 without backend.
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

void add_service(Object& object, const Address& address, int port, std::uint32_t slot, std::uint32_t flags) {
  trap_service_key key = {};
  key.address = address.value;
  object.put("services", key, trap_service{.slot = 0, .flags = 0});
  key.port = TRAP_BE16(port);
  object.put("services", key, trap_service{.slot = slot, .flags = flags});
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
    object.put("selections", first_slot, selection);
    object.put("selections", first_slot + 1, selection);
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
