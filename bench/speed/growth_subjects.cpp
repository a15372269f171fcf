// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/growth_subjects.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include <bpf/bpf.h>

#include "client/maps.h"
#include "guard/maps.h"
#include "guard/tables.h"
#include "runtime/fd.h"
#include "server/maps.h"
#include "tests/bpf/guard/guard_tables.h"
#include "tests/bpf/harness/rig.h"
#include "trap_client.skel.h"
#include "trap_guard.skel.h"

namespace trap::bench {
namespace {

using test::Json;
using test::Object;

constexpr int first_port = 1000;
constexpr std::uint32_t backends_of_a_pool = 1000;
constexpr std::uint32_t many_clients = 1'000'000;
constexpr std::uint64_t hour_ns = 3'600'000'000'000;
// Tables of sets are this much larger than their population.
constexpr std::uint32_t room = 4;

// The first source and the first of many destinations, as the replay program numbers them
// (TRAP_REPLAY_MEMBERS).
const char* first_source(int family) {
  return family == 4 ? "20.0.0.0" : "2001:100::1";
}

const char* first_destination(int family) {
  return family == 4 ? "60.0.0.0" : "2001:db8:60::";
}

trap_address source_of(int family, std::uint32_t index, int shift = 0) {
  trap_address address = test::read_address(first_source(family)).value;
  __be32& word = address.be32[family == 4 ? 3 : 1];
  word = TRAP_BE32(TRAP_FROM_BE32(word) + (index << shift));
  return address;
}

trap_address destination_of(const char* first, std::uint32_t index) {
  trap_address address = test::read_address(first).value;
  address.be32[3] = TRAP_BE32(TRAP_FROM_BE32(address.be32[3]) + index);
  return address;
}

// From one prefix to the next: a /24, a /48.
int prefix_shift(int family) {
  return family == 4 ? 8 : 16;
}

const Json linux_syn = {{"options", {{{"linux", 1}}}}};

Json packet_to(int family, const std::string& destination, int port, Json tcp,
               const std::string& source = {}) {
  tcp["dport"] = port;
  return {{"ip", {{"src", source.empty() ? first_source(family) : source}, {"dst", destination}}},
          {"tcp", tcp}};
}

// --- trap-server

void put_place(Object& object, const trap_address& address, int port, std::uint32_t slot) {
  trap_place place = {};
  place.slot = slot;
  place.port = TRAP_BE16(port);
  place.state = TRAP_PLACE_TAKEN;
  place.address = address;
  std::uint32_t at = trap_place_of(&address, place.port);
  for (int probe = 0; probe < TRAP_PLACE_PROBES; probe++, at = (at + 1) % TRAP_PLACES) {
    if (object.get<trap_place>("service_table", at).state == TRAP_PLACE_TAKEN)
      continue;
    object.put("service_table", at, place);
    return;
  }
  throw std::runtime_error("no place for a service");
}

// Services at ports from `first_port`, in slots from 1, each with a pool of its slot's number.
std::unique_ptr<Object> load_server(const Population& population, std::uint32_t services,
                                    std::uint32_t flags) {
  const test::Rig& rig = test::server_rig();
  auto object = rig.load(false, false);
  rig.configure(*object, population.world);
  rig.set_time(*object, population.world, population.world.moment("now"));
  test::trust_known(*object);
  trap_service service = {};
  service.flags = TRAP_SERVICE_OFFERS | flags;
  for (std::uint32_t slot = 1; slot <= services; slot++) {
    service.pool = slot;
    object->put("services", slot, service);
    put_place(*object, population.world.address("public", population.family).value,
              first_port + static_cast<int>(slot) - 1, slot);
  }
  return object;
}

void put_backends(Object& object, const Population& population, std::uint32_t pools) {
  trap_backend backend = {};
  backend.port = TRAP_BE16(80);
  backend.lifetime_s = TRAP_BE16(600);
  backend.scope_v4 = TRAP_SCOPE_V4;
  backend.scope_v6 = TRAP_SCOPE_V6;
  for (std::uint32_t index = 0; index < population.size; index++) {
    backend.address = destination_of(first_destination(population.family), index);
    object.put("backends", index, backend);
  }
  for (std::uint32_t pool = 0; pool < pools; pool++) {
    trap_selection selection = {};
    selection.backend_count =
        std::min(population.size - pool * backends_of_a_pool, backends_of_a_pool);
    for (std::uint32_t slot = 0; slot < TRAP_SELECTION_SLOTS; slot++)
      selection.backends[slot] =
          static_cast<__u16>(pool * backends_of_a_pool + slot % selection.backend_count);
    object.put("selections", pool + 1, selection);
  }
}

std::uint32_t pools_of(std::uint32_t backends) {
  return (backends + backends_of_a_pool - 1) / backends_of_a_pool;
}

// Every client is in a prefix, which sends it to the pool where it would go anyway.
void put_prefixes(Object& object, const Population& population, std::uint32_t slot) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
  const Fd trie{bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "growth", sizeof(trap_policy_key),
                               sizeof(trap_policy), population.size, &options)};
  const trap_policy policy = {.action = TRAP_POLICY_POOL, .pool = slot};
  for (std::uint32_t index = 0; index < population.size; index++) {
    const trap_address prefix =
        source_of(population.family, index, prefix_shift(population.family));
    trap_policy_key key = {.bits = population.family == 4 ? 96U + 24 : 48, .address = {}};
    std::memcpy(key.address, &prefix, sizeof key.address);
    if (bpf_map_update_elem(trie.get(), &key, &policy, BPF_ANY) != 0)
      throw std::runtime_error("cannot write a policy");
  }
  object.put("policies", slot, trie.get()); // which holds a reference
}

trap_replay_order valid_acks(const Population& population) {
  const Json& now = population.world.moment("now");
  const std::uint64_t unix_ns = now["unix_ns"];
  trap_replay_order order = {};
  order.sources = many_clients;
  order.ports = pools_of(population.size);
  order.has_cookie = 1;
  order.cookie_window = trap_cookie_window(unix_ns);
  for (const Json& epoch : now["epochs"])
    if (epoch["epoch"].get<std::uint64_t>() == trap_epoch(unix_ns))
      order.cookie_key = test::read_key(epoch["cookie_key"]);
  return order;
}

std::vector<Subject> of_server() {
  const auto syn = [](int family) { return packet_to(family, "public", first_port, linux_syn); };
  return {
      {"growth-services",
       "trap_server",
       true,
       TRAP_REPLY_SYN_ACK,
       Growth::flat,
       {1, 10, 100, 1000},
       syn,
       [](const Population& population) { return load_server(population, population.size, 0); },
       [](const Population& population) {
         trap_replay_order order = {};
         order.sources = many_clients;
         order.ports = population.size;
         return order;
       }},
      {"growth-backends",
       "trap_server",
       true,
       TRAP_REPLY_REDIRECT,
       Growth::flat,
       {1, 10, 100, 1000, 10'000},
       [](int family) {
         return packet_to(family, "public", first_port,
                          {{"flags", "A"}, {"options", {{{"accept", 0}}, {{"nop", 20}}}}});
       },
       [](const Population& population) {
         auto object = load_server(population, pools_of(population.size), 0);
         put_backends(*object, population, pools_of(population.size));
         return object;
       },
       valid_acks},
      {"growth-prefixes",
       "trap_server",
       true,
       TRAP_REPLY_SYN_ACK,
       Growth::logarithmic,
       {1, 10, 100, 1000, 10'000, 100'000},
       syn,
       [](const Population& population) {
         auto object = load_server(population, 1, TRAP_SERVICE_POLICED);
         put_prefixes(*object, population, 1);
         return object;
       },
       [](const Population& population) {
         trap_replay_order order = {};
         order.sources = population.size;
         order.source_shift = static_cast<__u32>(prefix_shift(population.family));
         return order;
       }},
  };
}

// --- trap-guard

template <typename Bucket> test::Buckets<Bucket> map_table(const Object& object, const char* name) {
  const bpf_map* map = bpf_object__find_map_by_name(object.object(), name);
  return {bpf_map__fd(map), bpf_map__max_entries(map)};
}

std::unique_ptr<Object> load_guard(const Population& population) {
  trap_guard* skeleton = trap_guard__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_guard: " + test::last_libbpf_warning());
  const std::uint32_t entries = std::bit_ceil(room * population.size);
  skeleton->rodata->flow_buckets =
      std::max<std::uint32_t>(entries, TRAP_GUARD_FLOWS) / TRAP_FLOW_WAYS;
  skeleton->rodata->announced_buckets =
      std::max<std::uint32_t>(entries, TRAP_GUARD_CLIENTS) / TRAP_ANNOUNCED_WAYS;
  bpf_map__set_max_entries(skeleton->maps.flows, skeleton->rodata->flow_buckets);
  bpf_map__set_max_entries(skeleton->maps.announced, skeleton->rodata->announced_buckets);
  bpf_map__set_max_entries(
      skeleton->maps.admitted,
      std::max<std::uint32_t>(std::bit_ceil(population.size), TRAP_GUARD_CLIENTS));
  if (trap_guard__load(skeleton) != 0)
    throw std::runtime_error("cannot load trap_guard: " + test::last_libbpf_warning());
  auto object =
      std::make_unique<Object>(skeleton->obj, [skeleton] { trap_guard__destroy(skeleton); });
  const test::Rig& rig = test::guard_rig();
  rig.configure(*object, population.world);
  rig.set_time(*object, population.world, population.world.moment("now"));
  return object;
}

void put_flows(Object& object, const Population& population) {
  const auto settings = object.get<trap_guard_settings>("settings", std::uint32_t{0});
  auto buckets = map_table<trap_flow_bucket>(object, "flows");
  trap_flow_key key = {};
  key.service = population.world.address("backend", population.family).value;
  key.client_port = TRAP_BE16(40000);
  key.service_port = TRAP_BE16(80);
  trap_guard_flow flow = {};
  flow.seen_ns = test::coarse_ns();
  flow.packets_left = flow.bytes_left = ~0U; // so that it need not draw
  flow.flags = TRAP_FLOW_BUDGETED;
  const auto size = static_cast<__u32>(buckets.size());
  for (std::uint32_t index = 0; index < population.size; index++) {
    key.client = source_of(population.family, index);
    const std::uint64_t hash = trap_flow_hash(&key, settings.table_keys);
    for (int second = 0; second < 2; second++) {
      auto& entries = buckets[trap_flow_bucket_index(hash, second, size)].entries;
      auto* free = std::ranges::find_if(entries, [](const trap_flow_entry& entry) {
        return entry.value.seen_ns == TRAP_FLOW_EMPTY;
      });
      if (free == std::end(entries))
        continue;
      *free = {key, flow};
      break;
    }
  }
}

void put_announced(Object& object, const Population& population) {
  const auto settings = object.get<trap_guard_settings>("settings", std::uint32_t{0});
  auto buckets = map_table<trap_announced_bucket>(object, "announced");
  trap_announced_key key = {};
  key.port = TRAP_BE16(80);
  key.scope = population.family == 4 ? TRAP_SCOPE_V4 : TRAP_SCOPE_V6;
  const std::uint32_t until_s =
      population.world.moment("now")["unix_s"].get<std::uint32_t>() + 4000;
  for (std::uint32_t index = 0; index < population.size; index++) {
    key.client = trap_address_mask(source_of(population.family, index),
                                   static_cast<__u32>(population.family), key.scope);
    const std::uint64_t hash = trap_announced_hash(&key, settings.table_keys);
    trap_announced_bucket& bucket =
        buckets[trap_announced_bucket_index(hash, static_cast<__u32>(buckets.size()))];
    const auto* free = std::ranges::find(bucket.prints, 0);
    if (free == std::end(bucket.prints))
      continue;
    const auto way = free - bucket.prints;
    bucket.prints[way] = trap_announced_print(hash);
    bucket.entries[way] = {key, {.until_s = until_s, .tag = 0, .reserved = {}}};
  }
}

void put_admitted(Object& object, const Population& population) {
  const int fd = object.map_fd("admitted");
  trap_guard_client client = {};
  client.flows = 1;
  for (std::uint32_t index = 0; index < population.size; index++) {
    trap_guard_client_key key = {};
    key.prefix = trap_address_mask(source_of(population.family, index),
                                   static_cast<__u32>(population.family),
                                   population.family == 4 ? TRAP_SCOPE_V4 : TRAP_SCOPE_V6);
    key.slot = 1;
    if (bpf_map_update_elem(fd, &key, &client, BPF_ANY) != 0)
      throw std::runtime_error("cannot write an admitted client");
  }
  // Budgets are looked at, and are never used up.
  object.put(
      "classes", std::uint32_t{0},
      trap_guard_class{
          .syns = {1, hour_ns, 1, 0}, .packets = {}, .kib = {}, .flows = 1000, .reserved = 0});
}

trap_replay_order of_all_clients(const Population& population) {
  trap_replay_order order = {};
  order.sources = population.size;
  return order;
}

std::vector<Subject> of_guard() {
  const std::vector<std::uint32_t> sizes = {1, 10, 100, 1000, 10'000, 100'000, 1'000'000};
  return {
      {"growth-flows", "trap_guard", true, TRAP_PASS_FLOW, Growth::logarithmic, sizes,
       [](int family) {
         return packet_to(family, "backend", 80, {{"flags", "A"}});
       },
       [](const Population& population) {
         auto object = load_guard(population);
         put_flows(*object, population);
         return object;
       },
       of_all_clients},
      {"growth-clients", "trap_guard", true, TRAP_PASS_ANNOUNCED, Growth::logarithmic, sizes,
       [](int family) { return packet_to(family, "backend", 80, linux_syn); },
       [](const Population& population) {
         auto object = load_guard(population);
         put_flows(*object, population);
         put_announced(*object, population);
         put_admitted(*object, population);
         return object;
       },
       of_all_clients},
  };
}

// --- trap-client

std::unique_ptr<Object> load_client(const Population& population) {
  trap_client* skeleton = trap_client__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_client: " + test::last_libbpf_warning());
  const std::uint32_t entries = std::bit_ceil(2 * population.size);
  bpf_map__set_max_entries(skeleton->maps.redirects,
                           std::max<std::uint32_t>(entries, TRAP_CLIENT_REDIRECTS));
  for (bpf_map* map : {skeleton->maps.to_backend, skeleton->maps.to_public})
    bpf_map__set_max_entries(map, std::max<std::uint32_t>(entries, TRAP_CLIENT_FLOWS));
  if (trap_client__load(skeleton) != 0)
    throw std::runtime_error("cannot load trap_client: " + test::last_libbpf_warning());
  auto object =
      std::make_unique<Object>(skeleton->obj, [skeleton] { trap_client__destroy(skeleton); });
  test::client_rig().configure(*object, population.world);
  return object;
}

void put_redirects(Object& object, const Population& population) {
  trap_redirect redirect = {};
  redirect.learnt_ns = test::coarse_ns();
  redirect.until_ns = redirect.learnt_ns + hour_ns;
  redirect.port = TRAP_BE16(80);
  trap_redirect_key key = {};
  key.local = population.world.address("client", population.family).value;
  key.port = TRAP_BE16(80);
  for (std::uint32_t index = 0; index < population.size; index++) {
    key.service = destination_of(first_destination(population.family), index);
    redirect.backend = destination_of(population.family == 4 ? "70.0.0.0" : "2001:db8:70::", index);
    object.put("redirects", key, redirect);
  }
}

Subject of_client() {
  return {"growth-redirects",
          "trap_client_egress",
          false,
          TRAP_PASS_SYN_TICKETED,
          Growth::logarithmic,
          {1, 10, 100, 1000, 10'000, 100'000},
          [](int family) {
            return packet_to(family, first_destination(family), 80, linux_syn, "client");
          },
          [](const Population& population) {
            auto object = load_client(population);
            put_redirects(*object, population);
            return object;
          },
          [](const Population& population) {
            trap_replay_order order = {};
            order.destinations = population.size;
            return order;
          }};
}

} // namespace

std::vector<Subject> subjects() {
  std::vector<Subject> all = of_server();
  for (Subject& subject : of_guard())
    all.push_back(std::move(subject));
  all.push_back(of_client());
  return all;
}

} // namespace trap::bench
