// SPDX-License-Identifier: Apache-2.0
// trap-server in the fixtures' world: public:80 with OFFER, second:80 without, public:81 without
// backend; served: public:82 with backend, public:83 without; public:84 as 82, at peace; public:85
// as 82, with policies; public:86 as 80, silent; public:87 as 80, with a cap; public:88 as 80, with
// policies; public:90 as 82, with TRAP's own cookies; loopback:82 and loopback:83 as public:82 and
// public:83, where tests have sockets. Policies: neighbour is denied, stranger is served, elsewhere
// goes to a pool of its own: port 8080 of the backend.
#include "tests/bpf/harness/rig.h"

#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "server/maps.h"
#include "trap_server.skel.h"

namespace trap::test {
namespace {

std::unique_ptr<Object> load_server(bool experimental, bool small) {
  trap_server* skeleton = trap_server__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_server: " + last_libbpf_warning());
  if (small)
    shrink_lru_maps(skeleton->obj);
  skeleton->rodata->send_experimental = experimental ? 1 : 0;
  if (trap_server__load(skeleton) != 0)
    throw std::runtime_error("cannot load trap_server: " + last_libbpf_warning());
  return std::make_unique<Object>(skeleton->obj, [skeleton] { trap_server__destroy(skeleton); });
}

std::unique_ptr<Object> load_server_twin(bool experimental, const Object& live) {
  trap_server* skeleton = trap_server__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_server: " + last_libbpf_warning());
  skeleton->rodata->send_experimental = experimental ? 1 : 0;
  skeleton->rodata->explaining = 1;
  load_twin_of(live, skeleton->obj, [skeleton] { return trap_server__load(skeleton); });
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
    const auto there = object.get<trap_place>("service_table", at);
    const bool same = there.port == place.port && trap_address_equal(&there.address, &address);
    if (there.state == TRAP_PLACE_TAKEN && !same)
      continue;
    object.put("service_table", at, place);
    return;
  }
  throw std::runtime_error("no place for a service");
}

// A token costs an hour, so that buckets do not fill again while a test runs.
constexpr std::uint64_t hour_ns = 3'600'000'000'000;

// The slot is its pool's index, too.
void add_service(Object& object, const Address& address, int port, std::uint32_t slot,
                 std::uint32_t flags) {
  add_place(object, address.value, 0, 0);
  add_place(object, address.value, port, slot);
  trap_service service = {};
  service.flags = flags;
  service.pool = slot;
  service.mss = TRAP_BE16(1400);
  service.window = TRAP_BE16(64240);
  service.window_scale = 7;
  service.syn_acks = {.token_ns = hour_ns, .burst_ns = 3 * hour_ns, .chunk = 1, .reserved = 0};
  object.put("services", slot, service);
}

constexpr std::uint32_t served = TRAP_SERVICE_SERVES | TRAP_SERVICE_SOCKETS |
                                 TRAP_SERVICE_TIMESTAMPS | TRAP_SERVICE_SACK | TRAP_SERVICE_SCALES;

// Slots from 10 for IPv4, from 20 for IPv6.
void add_more_services(Object& object, const Address& public_address, const Address& loopback,
                       std::uint32_t first_slot) {
  add_service(object, public_address, 82, first_slot + 2, served | TRAP_SERVICE_OFFERS);
  add_service(object, public_address, 83, first_slot + 3, served);
  add_service(object, public_address, 84, first_slot + 4,
              served | TRAP_SERVICE_OFFERS | TRAP_SERVICE_RESTS);
  add_service(object, public_address, 85, first_slot + 5,
              served | TRAP_SERVICE_OFFERS | TRAP_SERVICE_POLICED);
  add_service(object, public_address, 86, first_slot + 6,
              TRAP_SERVICE_OFFERS | TRAP_SERVICE_SILENT);
  add_service(object, public_address, 87, first_slot + 7,
              TRAP_SERVICE_OFFERS | TRAP_SERVICE_CAPPED);
  add_service(object, public_address, 90, first_slot + 1,
              served | TRAP_SERVICE_OFFERS | TRAP_SERVICE_ASSIGNS);
  add_service(object, public_address, 88, first_slot, TRAP_SERVICE_OFFERS | TRAP_SERVICE_POLICED);
  add_service(object, loopback, 82, first_slot + 8, served | TRAP_SERVICE_OFFERS);
  add_service(object, loopback, 83, first_slot + 9, served);
}

void add_policy(int trie, const Address& client, trap_policy_action action, std::uint32_t pool) {
  trap_policy_key key = {.bits = 128, .address = {}};
  std::memcpy(key.address, &client.value, sizeof key.address);
  const trap_policy policy = {.action = static_cast<__u32>(action), .pool = pool};
  if (bpf_map_update_elem(trie, &key, &policy, BPF_ANY) != 0)
    throw std::runtime_error("cannot write a policy");
}

// Once for each object: to change an array of maps takes the kernel long.
void add_policies(Object& object, const World& world, int family, std::uint32_t slot,
                  std::uint32_t pool) {
  std::uint32_t there = 0;
  if (bpf_map_lookup_elem(object.map_fd("policies"), &slot, &there) == 0)
    return;
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
  const int trie = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "test", sizeof(trap_policy_key),
                                  sizeof(trap_policy), 16, &options);
  if (trie < 0)
    throw std::runtime_error("cannot make a trie of policies");
  add_policy(trie, world.address("neighbour", family), TRAP_POLICY_DENY, 0);
  add_policy(trie, world.address("stranger", family), TRAP_POLICY_SERVE, 0);
  add_policy(trie, world.address("elsewhere", family), TRAP_POLICY_POOL, pool);
  object.put("policies", slot, trie); // which keeps it
  close(trie);
}

// Backend and pool of clients from elsewhere.
void add_pool(Object& object, const World& world, int family, std::uint32_t pool,
              trap_backend backend) {
  const std::uint32_t index = 10 + pool;
  backend.port = TRAP_BE16(8080);
  object.put("backends", index, backend);
  trap_selection selection = {};
  selection.backend_count = 1;
  for (auto& choice : selection.backends)
    choice = static_cast<__u16>(index);
  object.put("selections", pool, selection);
  for (const std::uint32_t slot : {family == 4 ? 10U : 20U, family == 4 ? 15U : 25U})
    add_policies(object, world, family, slot, pool);
}

// Full again, as a fixture's rates expect them.
void fill_buckets(Object& object) {
  const Bytes none(static_cast<std::size_t>(libbpf_num_possible_cpus()) * sizeof(__u64));
  for (const std::uint32_t cap :
       {TRAP_CAP_SYN_ACKS, TRAP_CAP_RESETS, TRAP_CAP_SERVICE + 17, TRAP_CAP_SERVICE + 27}) {
    object.put("caps", cap, trap_cap{});
    object.put("allowances", bytes_of(cap), none);
  }
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
    add_more_services(object, world.address("public", family), world.address("loopback", family),
                      10 + 10 * index);
    for (const std::uint32_t pool :
         {first_slot, first_slot + 1, 12 + 10 * index, 14 + 10 * index, 15 + 10 * index,
          17 + 10 * index, 18 + 10 * index, 10 + 10 * index})
      object.put("selections", pool, selection);
    add_pool(object, world, family, 40 + index, backend);
    index++;
  }
  fill_buckets(object);
}

void set_server_time(Object& object, const World& world, const Json& moment) {
  trap_server_settings settings = {};
  trap_server_guard guard = {};
  settings.clock.anchors[0] = {
      .monotonic_ns = coarse_ns(), .unix_ns = moment["unix_ns"], .unix_s = moment["unix_s"]};
  settings.selector_key = world.selector_key();
  for (const Json& e : moment["epochs"]) {
    const std::uint64_t epoch = e["epoch"];
    settings.cookie_keys.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch,
                                                              .key = read_key(e["cookie_key"])};
    guard.ticket_keys.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch,
                                                           .key = read_key(e["ticket_key"])};
  }
  const std::uint32_t zero = 0;
  object.put("settings", zero, settings);
  object.put("guards", zero, guard);
}

// A full bucket of that many tokens, and no more before the test is over.
trap_rate only(const Json& rates, const char* name) {
  if (!rates.contains(name))
    return {};
  return {.token_ns = hour_ns,
          .burst_ns = rates[name].get<std::uint64_t>() * hour_ns,
          .chunk = 1,
          .reserved = 0};
}

void set_server_rates(Object& object, const Json& rates) {
  const std::uint32_t zero = 0;
  auto settings = object.get<trap_server_settings>("settings", zero);
  settings.syn_acks = only(rates, "syn_acks");
  settings.resets = only(rates, "resets");
  settings.client_handshakes = only(rates, "client_handshakes");
  settings.network_handshakes = only(rates, "network_handshakes");
  object.put("settings", zero, settings);
}

} // namespace

void trust_known(Object& object) {
  const std::uint32_t zero = 0;
  auto settings = object.get<trap_server_settings>("settings", zero);
  settings.connection_filter_until_ns = coarse_ns() + hour_ns;
  object.put("settings", zero, settings);
}

const Rig& server_rig() {
  static const Rig rig = {"server",        load_server,      configure_server, set_server_time,
                          {"trap_server"}, set_server_rates, load_server_twin};
  return rig;
}

} // namespace trap::test
