// SPDX-License-Identifier: Apache-2.0
// trap-guard for the fixtures: maps that the daemon's own reader, planner and writer filled from
// the configuration below, and the few values that no configuration can say.
#include "tests/bpf/harness/rig.h"

#include <stdexcept>

#include "guard/daemon/enforcement/enforcement.h"
#include "guard/daemon/maps/guard_maps.h"
#include "runtime/keys/clock_writer.h"
#include "tests/bpf/guard/guard_tables.h"
#include "trap_guard.skel.h"

namespace trap::test {
namespace {

using namespace guard;

constexpr std::uint32_t small_buckets = 64;
constexpr std::uint32_t rig_slots = 4; // none, and one for each service below

// Slots 1 to 3, in this order. Of the trusted prefixes there are so few addresses that a flood with
// invented sources has none of them; some are of sources that no host can have.
constexpr char configuration[] = R"(interfaces = ["lo"]
trap_servers = [{trap-server}]
trusted = ["10.9.0.1", "10.8.0.0/28", "fd00:9::1", "fd00:8::/32",
           "127.1.2.0/30", "224.0.0.16/28", "ff0e::8/126"]
announced_per_network_per_s = 0
[[class]]
name = "default"
syns_per_s = 0
packets_per_s = 0
bytes_per_s = 0
flows = 0
network_syns_per_s = 0
network_packets_per_s = 0
network_flows = 0
[[class]]
name = "limited"
tags = [7]
flows = 2
network_syns_per_s = 0
network_packets_per_s = 0
network_flows = 0
[[pool]]
name = "nine"
addresses = ["198.51.100.99", "2001:db8:198::99"]
tags = [9]
[[service]]
name = "web"
port = 80
[[service]]
name = "wide"
port = 81
scope_v4 = 24
scope_v6 = 56
[[service]]
name = "elsewhere"
port = 83
sockets = "elsewhere"
)";

const GuardConfig& config(const TestConstants& constants) {
  static const GuardConfig read =
      read_configuration(fill_in(constants, configuration), read_guard_config);
  return read;
}

MapFds fds_of(const Object& object) {
  return {.ports = object.map_fd("ports"),
          .classes = object.map_fd("classes"),
          .network_classes = object.map_fd("network_classes"),
          .trap_servers = object.map_fd("trap_servers"),
          .trusted = object.map_fd("trusted"),
          .pools = object.map_fd("pools"),
          .tag_pools = object.map_fd("tag_pools"),
          .flow_keys = object.map_fd("flow_keys"),
          .client_keys = object.map_fd("client_keys"),
          .counters = object.map_fd("counters"),
          .monitored = object.map_fd("monitored")};
}

// So slow that nothing comes back while a test runs.
trap_rate tokens(std::uint64_t burst, std::uint32_t chunk) {
  constexpr std::uint64_t token_ns = 1'000'000'000'000;
  return {.token_ns = token_ns, .burst_ns = token_ns * burst, .chunk = chunk, .reserved = 0};
}

// 3 SYNs, 8 packets in chunks of 4, 4 KiB in chunks of 1.
void override_rates(Object& object) {
  auto limited = object.get<trap_guard_class>("classes", std::uint32_t{7});
  limited.syns = tokens(3, 1);
  limited.packets = tokens(8, 4);
  limited.kib = tokens(4, 1);
  object.put("classes", std::uint32_t{7}, limited);
}

// Settings as they are, so that set_time need not come first.
void configure_guard(Object& object, const TestConstants& constants) {
  const GuardConfig& now = config(constants);
  const MapFds fds = fds_of(object);
  const PortSlots earlier = read_port_slots(fds);
  const auto slots = plan_slots(now, earlier);
  auto settings = object.get<trap_guard_settings>("settings", std::uint32_t{0});
  if (auto written = write_maps(fds, settings, now, *slots, earlier); !written)
    throw std::runtime_error(written.error().message);
  object.put("settings", std::uint32_t{0}, settings);
  override_rates(object);
}

// The keys of the daemon's last breath, which may be long before the moment.
void set_guard_time(Object& object, const TestConstants& constants, const Json& moment) {
  auto settings = object.get<trap_guard_settings>("settings", std::uint32_t{0});
  const trap_guard_settings configured = settings;
  settings = {};
  settings.flags = configured.flags;
  settings.clock_skew_s = configured.clock_skew_s;
  settings.announced = configured.announced;
  renew_settings(settings, derive_guard_secret(constants.master(), "web-1"),
                 anchor_in(constants.present_epoch(moment)));
  publish_clock(settings.clock, anchor_at(moment));
  set_mode(settings, Mode::enforce);
  // Until a test says otherwise; the daemon would say it by the time of this host.
  settings.keys_until_ns = TRAP_GUARD_ALWAYS;
  settings.flow_counts_until_ns = TRAP_GUARD_ALWAYS;
  // The daemon's are random, and then entries would lie elsewhere at each run.
  settings.table_keys[0] = 0x0123456789abcdef;
  settings.table_keys[1] = 0xfedcba9876543210;
  object.put("settings", std::uint32_t{0}, settings);
  trap_flow_keys secret = {};
  for (std::uint64_t i = 0; i < TRAP_FLOW_KEYS; i++)
    secret.words[i] = (2 * i + 1) * 0x9e3779b97f4a7c15;
  object.put("flow_keys", std::uint32_t{0}, secret);
  trap_client_keys client_secret = {};
  for (std::uint64_t i = 0; i < TRAP_CLIENT_KEYS; i++)
    client_secret.words[i] = (2 * i + 1) * 0xd1b54a32d192ed03;
  object.put("client_keys", std::uint32_t{0}, client_secret);
}

Program<trap_guard>::Prepare sized(std::uint32_t flows, std::uint32_t half_open,
                                   std::uint32_t announced, std::uint32_t clients, bool small) {
  return [=](trap_guard& skeleton) {
    if (small)
      shrink_maps(skeleton.obj, rig_slots);
    bpf_program__set_autoload(skeleton.progs.trap_guard_ip, small); // half of what loading costs
    skeleton.rodata->flow_buckets = flows;
    skeleton.rodata->announced_buckets = announced;
    skeleton.rodata->client_buckets = clients;
    skeleton.rodata->half_open_buckets = half_open;
    bpf_map__set_max_entries(skeleton.maps.half_open, half_open);
    bpf_map__set_max_entries(skeleton.maps.flows, flows);
    bpf_map__set_max_entries(skeleton.maps.announced, announced);
    bpf_map__set_max_entries(skeleton.maps.client_budgets, clients);
    allow_mapping(skeleton.obj);
  };
}

std::unique_ptr<Object> load_guard(bool, bool small) {
  auto object = object_of(Program<trap_guard>::load(
      small ? sized(small_buckets, small_buckets, small_buckets, small_buckets, true)
            : sized(TRAP_FLOW_BUCKETS, TRAP_HALF_OPEN_BUCKETS, TRAP_ANNOUNCED_BUCKETS,
                    TRAP_CLIENT_BUCKETS, false)));
  see_guard_tables(*object);
  return object;
}

std::unique_ptr<Object> load_guard_twin(bool, const Object& live) {
  const auto entries = [&](const char* map) {
    return bpf_map__max_entries(bpf_object__find_map_by_name(live.object(), map));
  };
  return object_of(Program<trap_guard>::load_twin(
      live.object(), sized(entries("flows"), entries("half_open"), entries("announced"),
                           entries("client_budgets"), false)));
}

} // namespace

const Rig& guard_rig() {
  static const Rig rig = {.part = "guard",
                          .load = load_guard,
                          .configure = configure_guard,
                          .set_time = set_guard_time,
                          .programs = {"trap_guard"},
                          .load_twin = load_guard_twin};
  return rig;
}

} // namespace trap::test
