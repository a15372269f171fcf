// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/growth_subjects.h"

#include <algorithm>
#include <bit>
#include <cerrno>

#include <bpf/bpf.h>

#include "client/maps.h"
#include "guard/daemon/maps/tables.h"
#include "guard/maps.h"
#include "guard/tables.h"
#include "runtime/config/endpoint.h"
#include "server/maps.h"
#include "tests/bpf/guard/guard_tables.h"
#include "tests/bpf/harness/buckets.h"
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

std::string text_of(const trap_address& address) {
  return format_address(address);
}

std::string text_of(const trap_address& address, int port) {
  return "\"" + format_endpoint({address, static_cast<std::uint16_t>(port)}) + "\"";
}

std::string backend_text(const trap_address& address, const char* more = "") {
  return "[[service.backend]]\nguard = \"web-1\"\naddress = " + text_of(address, 80) + "\n" + more;
}

// Budgets that allow everything, as the subjects' packets come from everywhere.
constexpr char unlimited[] = R"(interfaces = ["lo"]
[budget]
client_handshakes_per_s = 0
network_handshakes_per_s = 0
syn_acks_per_s = 0
resets_per_s = 0
)";

std::string service_text(const Population& population, std::uint32_t first, std::uint32_t count) {
  std::string text = "[[service]]\nname = \"s" + std::to_string(first) + "\"\naddresses = [";
  for (std::uint32_t i = first; i < first + count; i++)
    text += text_of(population.constants.address("public", population.family).value,
                    first_port + static_cast<int>(i)) +
            ", ";
  return text + "]\n";
}

std::unique_ptr<Object> load_server(const Population& population, const std::string& services) {
  auto object = test::server_rig().load(false, false);
  test::configure_server_from(*object, population.constants, unlimited + services);
  test::trust_known(*object);
  return object;
}

// Services at ports from `first_port`, in slots from 1.
std::string many_services(const Population& population) {
  return service_text(population, 0, population.size) +
         backend_text(population.constants.address("backend", population.family).value);
}

std::uint32_t pools_of(std::uint32_t backends) {
  return (backends + backends_of_a_pool - 1) / backends_of_a_pool;
}

// A service for each pool of a thousand.
std::string many_backends(const Population& population) {
  std::string text;
  for (std::uint32_t pool = 0; pool < pools_of(population.size); pool++) {
    text += service_text(population, pool, 1);
    const std::uint32_t first = pool * backends_of_a_pool;
    for (std::uint32_t i = first; i < std::min(population.size, first + backends_of_a_pool); i++)
      text += backend_text(destination_of(first_destination(population.family), i));
  }
  return text;
}

// Every client is of some prefix.
std::string prefix_lines(const Population& population) {
  std::string text;
  for (std::uint32_t index = 0; index < population.size; index++) {
    trap_address prefix = source_of(population.family, index, prefix_shift(population.family));
    prefix = trap_address_mask(prefix, static_cast<__u32>(population.family),
                               population.family == 4 ? 24 : 48);
    text += text_of(prefix) + (population.family == 4 ? "/24\n" : "/48\n");
  }
  return text;
}

// The file's prefixes send their clients to a pool of the only backend. So many have no room in a
// configuration.
std::string many_prefixes(const Population& population, const std::string& file) {
  const trap_address backend = population.constants.address("backend", population.family).value;
  return service_text(population, 0, 1) + backend_text(backend) +
         backend_text(backend, "pool = \"same\"\n") +
         "[[service.policy]]\naction = \"pool\"\npool = \"same\"\nfile = \"" + file + "\"\n";
}

trap_replay_order valid_acks(const Population& population) {
  const Json& now = population.constants.moment("now");
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
       60,
       {1, 10, 100, 1000},
       syn,
       [](const Population& population) {
         return load_server(population, many_services(population));
       },
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
       250,
       {1, 10, 100, 1000, 10'000},
       [](int family) {
         return packet_to(family, "public", first_port,
                          {{"flags", "A"}, {"options", {{{"accept", 0}}, {{"nop", 20}}}}});
       },
       [](const Population& population) {
         return load_server(population, many_backends(population));
       },
       valid_acks},
      {"growth-prefixes",
       "trap_server",
       true,
       TRAP_REPLY_SYN_ACK,
       1200,
       {1, 10, 100, 1000, 10'000, 100'000},
       syn,
       [](const Population& population) {
         const test::ConfigurationFile file(prefix_lines(population));
         return load_server(population, many_prefixes(population, file.path()));
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
  const std::uint32_t entries = std::bit_ceil(room * population.room_for);
  auto object = test::object_of(Program<trap_guard>::load([&](trap_guard& skeleton) {
    skeleton.rodata->flow_buckets =
        std::max<std::uint32_t>(entries, TRAP_GUARD_FLOWS) / TRAP_FLOW_WAYS;
    skeleton.rodata->announced_buckets =
        std::max<std::uint32_t>(entries, TRAP_GUARD_CLIENTS) / TRAP_ANNOUNCED_WAYS;
    bpf_map__set_max_entries(skeleton.maps.flows, skeleton.rodata->flow_buckets);
    bpf_map__set_max_entries(skeleton.maps.announced, skeleton.rodata->announced_buckets);
    skeleton.rodata->client_buckets =
        std::max<std::uint32_t>(std::bit_ceil(population.room_for), TRAP_GUARD_CLIENTS) /
        TRAP_CLIENT_WAYS;
    bpf_map__set_max_entries(skeleton.maps.client_budgets, skeleton.rodata->client_buckets);
  }));
  const test::Rig& rig = test::guard_rig();
  rig.configure(*object, population.constants);
  rig.set_time(*object, population.constants, population.constants.moment("now"));
  return object;
}

void put_flows(Object& object, const Population& population) {
  const auto secret = object.get<trap_flow_keys>("flow_keys", std::uint32_t{0});
  auto buckets = map_table<trap_flow_bucket>(object, "flows");
  trap_flow_key key = {};
  key.service = population.constants.address("backend", population.family).value;
  key.client_port = TRAP_BE16(40000);
  key.service_port = TRAP_BE16(80);
  trap_guard_flow flow = {};
  flow.seen_ns = test::coarse_ns();
  flow.packets_left = flow.bytes_left = ~0U; // so that it need not draw
  flow.flags = TRAP_FLOW_BUDGETED;
  const auto size = static_cast<__u32>(buckets.size());
  for (std::uint32_t index = 0; index < population.size; index++) {
    key.client = source_of(population.family, index);
    const std::uint64_t hash = trap_flow_hash(&key, &secret);
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
      population.constants.moment("now")["unix_s"].get<std::uint32_t>() + 4000;
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

void put_budgets(Object& object, const Population& population) {
  const auto secret = object.get<trap_client_keys>("client_keys", std::uint32_t{0});
  auto buckets = map_table<trap_client_bucket>(object, "client_budgets");
  const std::span<trap_client_bucket> table{&buckets[0], buckets.size()};
  trap_guard_client client = {};
  client.flows = 1;
  for (std::uint32_t index = 0; index < population.size; index++) {
    trap_guard_client_key key = {};
    key.prefix = trap_address_mask(source_of(population.family, index),
                                   static_cast<__u32>(population.family),
                                   population.family == 4 ? TRAP_SCOPE_V4 : TRAP_SCOPE_V6);
    key.slot = 1;
    guard::place_client(table, trap_client_print(&key, &secret), client);
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
      {"growth-flows", "trap_guard", true, TRAP_PASS_FLOW, 450, sizes,
       [](int family) {
         return packet_to(family, "backend", 80, {{"flags", "A"}});
       },
       [](const Population& population) {
         auto object = load_guard(population);
         put_flows(*object, population);
         return object;
       },
       of_all_clients},
      {"growth-clients", "trap_guard", true, TRAP_PASS_ANNOUNCED, 1400, sizes,
       [](int family) { return packet_to(family, "backend", 80, linux_syn); },
       [](const Population& population) {
         auto object = load_guard(population);
         put_flows(*object, population);
         put_announced(*object, population);
         put_budgets(*object, population);
         return object;
       },
       of_all_clients},
  };
}

// --- trap-client

std::unique_ptr<Object> load_client(const Population& population) {
  const std::uint32_t entries = std::bit_ceil(2 * population.room_for);
  auto object = test::object_of(Program<trap_client>::load([&](trap_client& skeleton) {
    bpf_map__set_max_entries(skeleton.maps.redirects,
                             std::max<std::uint32_t>(entries, TRAP_CLIENT_REDIRECTS));
    for (bpf_map* map : {skeleton.maps.to_backend, skeleton.maps.to_public})
      bpf_map__set_max_entries(map, std::max<std::uint32_t>(entries, TRAP_CLIENT_FLOWS));
  }));
  test::client_rig().configure(*object, population.constants);
  return object;
}

void put_redirects(Object& object, const Population& population) {
  trap_redirect redirect = {};
  redirect.learnt_ns = test::coarse_ns();
  redirect.until_ns = redirect.learnt_ns + hour_ns;
  redirect.port = TRAP_BE16(80);
  trap_redirect_key key = {};
  key.local = population.constants.address("client", population.family).value;
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
          5000,
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
