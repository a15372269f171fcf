// SPDX-License-Identifier: Apache-2.0
// trap-server for the fixtures: maps that the daemon's own reader, planner and writer filled from
// the configuration below, in slots that the fixtures name, and the few values that no
// configuration can say.
#include "tests/bpf/harness/rig.h"

#include <algorithm>
#include <stdexcept>

#include "runtime/keys/clock_writer.h"
#include "server/daemon/maps/server_maps.h"
#include "server/daemon/maps/server_settings.h"
#include "tests/bpf/server/server_tables.h"
#include "trap_server.skel.h"

namespace trap::test {
namespace {

using namespace server;

constexpr std::uint32_t slots = 32; // places() has none above

// A token costs an hour, so that buckets do not fill again while a test runs.
constexpr std::uint64_t hour_ns = 3'600'000'000'000;

// Words in braces stand for addresses of both families: fill_in(). Policies: neighbour is denied,
// stranger is served, elsewhere goes to a pool of its own, port 8080 of the backend.
constexpr char rig_configuration[] = R"(interfaces = ["lo"]
[budget]
client_handshakes_per_s = 0
network_handshakes_per_s = 0
syn_acks_per_s = 0
resets_per_s = 0
[[service]]
name = "resets"
addresses = [{public:80}]
{backends}
[[service]]
name = "makes-no-offer"
addresses = [{second:80}]
offer = false
{backends}
[[service]]
name = "lost-its-backend"
addresses = [{public:81}]
{backends-down}
[[service]]
name = "serves"
addresses = [{public:82}]
unaware = "serve"
{backends}
[[service]]
name = "serves-alone"
addresses = [{public:83}]
activate = "always"
[[service]]
name = "at-peace"
addresses = [{public:84}]
unaware = "serve"
activate = "attack"
{backends}
[[service]]
name = "serves-by-policy"
addresses = [{public:85}]
unaware = "serve"
{backends}
{policies}
[[service]]
name = "is-silent"
addresses = [{public:86}]
{backends-down}
[[service]]
name = "is-capped"
addresses = [{public:87}]
syn_acks_per_s = 1
{backends}
[[service]]
name = "resets-by-policy"
addresses = [{public:88}]
unaware = "serve"
{backends}
{policies}
[[service]]
name = "makes-sockets"
addresses = [{public:90}]
unaware = "serve"
{backends}
)";

constexpr char guard_name[] = "web-1";

std::string backend_text(const std::string& address, const char* more) {
  return "[[service.backend]]\naddress = " + address + "\nguard = \"" + guard_name + "\"\n" + more;
}

std::string backends_text(const TestConstants& constants, const std::string& port,
                          const char* more = "") {
  std::string text;
  for (const int family : {4, 6})
    text += backend_text(quoted(constants, "backend", family, port), more);
  return text;
}

std::string policy_text(const TestConstants& constants, const char* client, const char* action) {
  return std::string("[[service.policy]]\nprefixes = [") + quoted(constants, client, 4) + ", " +
         quoted(constants, client, 6) + "]\naction = " + action + "\n";
}

std::string configuration_text(const TestConstants& constants) {
  return fill_in(
      constants, rig_configuration,
      {{"backends", backends_text(constants, "80")},
       {"backends-down", backends_text(constants, "80", "state = \"down\"\n")},
       {"policies", backends_text(constants, "8080", "pool = \"elsewhere\"\n") +
                        policy_text(constants, "neighbour", "\"deny\"") +
                        policy_text(constants, "stranger", "\"serve\"") +
                        policy_text(constants, "elsewhere", "\"pool\"\npool = \"elsewhere\"")}});
}

Endpoint endpoint(const TestConstants& constants, const char* name, int family, unsigned port) {
  return {constants.address(name, family).value, static_cast<std::uint16_t>(port)};
}

ServiceConfig& service_of(ServerConfig& config, const char* name) {
  return *std::ranges::find(config.services, name, &ServiceConfig::name);
}

// The maps of an earlier run, which decide where things lie: fixtures and tests name slots, pools
// and backends by number.
EarlierMaps places(const TestConstants& constants) {
  EarlierMaps earlier;
  earlier.guards[guard_name] = 0;
  for (const int family : {4, 6}) {
    const std::uint32_t first = family == 4 ? 1 : 4, more = family == 4 ? 10 : 20;
    const std::uint32_t index = family == 4 ? 0 : 1;
    const auto put = [&](const char* name, unsigned port, std::uint32_t slot) {
      earlier.slots[endpoint(constants, name, family, port)] = slot;
      earlier.pools[{slot, ""}] = slot;
    };
    put("public", 80, first);
    put("second", 80, first + 1);
    put("public", 81, first + 2);
    put("public", 88, more);
    put("public", 90, more + 1);
    for (unsigned port = 82; port <= 87; port++)
      put("public", port, more + port - 80);
    put("here", 82, more + 8);
    put("here", 83, more + 9);
    earlier.pools[{more, "elsewhere"}] = 40 + index;
    earlier.pools[{more + 5, "elsewhere"}] = 42 + index;
    earlier.backends[{endpoint(constants, "backend", family, 80), 0, 600}] = index;
    earlier.backends[{endpoint(constants, "backend", family, 8080), 0, 600}] = 50 + index;
  }
  return earlier;
}

// What the configuration's reader refuses, and programs must cope with.
void override_config(ServerConfig& config, const TestConstants& constants) {
  for (const int family : {4, 6}) { // tests have their sockets there, which no client could reach
    service_of(config, "serves").addresses.push_back(endpoint(constants, "here", family, 82));
    service_of(config, "serves-alone").addresses.push_back(endpoint(constants, "here", family, 83));
  }
  // A policy that has clients served by a service that resets.
  service_of(config, "resets-by-policy").unaware = Unaware::reset;
  service_of(config, "resets-by-policy").when_down = WhenDown::silence;
}

void override_contents(const ServerPlan& plan, MapContents& contents) {
  for (const PlannedService& planned : plan.services) {
    trap_service& value = contents.services.at(planned.slot);
    if (value.mss != 0)
      value.mss = TRAP_BE16(1400); // of both families, so that fixtures need one number
    if (planned.service->name == "lost-its-backend")
      value.flags = TRAP_SERVICE_OFFERS; // its SYN-ACKs went out before it did
    if (planned.service->name == "is-capped")
      value.syn_acks = {.token_ns = hour_ns, .burst_ns = 3 * hour_ns, .chunk = 1, .reserved = 0};
    if (planned.service->name == "makes-sockets")
      value.flags |= TRAP_SERVICE_ASSIGNS; // a host has one answer for all services
  }
}

std::unique_ptr<ActiveConfiguration> make_active(const TestConstants& constants) {
  auto made = std::make_unique<ActiveConfiguration>();
  made->config = read_configuration(configuration_text(constants), read_server_config);
  override_config(made->config, constants);
  made->master = constants.master();
  auto plan = make_plan(made->config, places(constants));
  if (!plan)
    throw std::runtime_error(plan.error().message);
  made->plan = std::move(*plan);
  return made;
}

// The same for every object, and pointed into by plans.
const ActiveConfiguration& active(const TestConstants& constants) {
  static const std::unique_ptr<ActiveConfiguration> made = make_active(constants);
  return *made;
}

MapFds fds_of(const Object& object) {
  return {.places = object.map_fd("service_table"),
          .services = object.map_fd("services"),
          .selections = object.map_fd("selections"),
          .backends = object.map_fd("backends"),
          .guards = object.map_fd("guards"),
          .policies = object.map_fd("policies"),
          .clients = object.map_fd("clients"),
          .caps = object.map_fd("caps"),
          .allowances = object.map_fd("allowances"),
          .counters = object.map_fd("counters")};
}

ServiceState state_of(const PlannedService& planned) {
  ServiceState state;
  state.rests = planned.service->activate == Activate::attack;
  return state;
}

MapContents contents_of(const ServerPlan& plan) {
  const HostState host = {
      .settings = {
          .tcp_syncookies = 2, .tcp_timestamps = 2, .tcp_sack = 1, .tcp_window_scaling = 1}};
  return make_contents(plan, BackendAvailability(), host, state_of);
}

void write_maps(Object& object, const ActiveConfiguration& now, const MapContents& contents,
                std::uint64_t epoch) {
  ServerMaps maps(fds_of(object));
  const EarlierMaps earlier = maps.read(guard_names(now.config), now.master, epoch);
  auto change = maps.prepare(now.plan, contents);
  if (!change)
    throw std::runtime_error(change.error().message);
  if (auto applied = maps.apply(now.plan, contents, *change, earlier, now.master, epoch); !applied)
    throw std::runtime_error(applied.error().message);
}

void configure_server(Object& object, const TestConstants& constants) {
  const ActiveConfiguration& now = active(constants);
  MapContents contents = contents_of(now.plan);
  override_contents(now.plan, contents);
  write_maps(object, now, contents, constants.present_epoch(constants.moment("now")));
}

// The keys of the daemon's last breath, which may be long before the moment.
void write_settings(Object& object, const ActiveConfiguration& now, std::uint64_t epoch,
                    const Json& moment) {
  trap_server_settings settings = {};
  publish_settings(settings, now, anchor_in(epoch));
  publish_clock(settings.clock, anchor_at(moment));
  object.put("settings", std::uint32_t{0}, settings);
}

void set_server_time(Object& object, const TestConstants& constants, const Json& moment) {
  const ActiveConfiguration& now = active(constants);
  const std::uint64_t epoch = constants.present_epoch(moment);
  write_settings(object, now, epoch, moment);
  object.put("guards", std::uint32_t{0}, trap_server_guard{});
  ServerMaps maps(fds_of(object));
  if (auto rotated = maps.rotate_guard_keys(now.plan, now.master, epoch); !rotated)
    throw std::runtime_error(rotated.error().message);
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

Program<trap_server>::Prepare prepared(bool at_tc, bool experimental, bool small) {
  return [=](trap_server& skeleton) {
    bpf_program__set_autoload(skeleton.progs.trap_server, !at_tc);
    bpf_program__set_autoload(skeleton.progs.trap_server_tc, at_tc);
    skeleton.rodata->send_experimental = experimental ? 1 : 0;
    if (small)
      shrink_maps(skeleton.obj, slots);
    allow_mapping(skeleton.obj);
  };
}

Rig rig_of(bool at_tc) {
  return {.part = "server",
          .load =
              [=](bool experimental, bool small) {
                auto object =
                    object_of(Program<trap_server>::load(prepared(at_tc, experimental, small)));
                see_server_tables(*object);
                return object;
              },
          .configure = configure_server,
          .set_time = set_server_time,
          .programs = {at_tc ? "trap_server_tc" : "trap_server"},
          .refilled = {"caps", "allowances", "peace_caps", "recent_handovers"},
          .set_rates = set_server_rates,
          .load_twin =
              [=](bool experimental, const Object& live) {
                return object_of(Program<trap_server>::load_twin(
                    live.object(), prepared(at_tc, experimental, false)));
              }};
}

} // namespace

void trust_known(Object& object) {
  const std::uint32_t zero = 0;
  auto settings = object.get<trap_server_settings>("settings", zero);
  settings.connection_filter_until_ns = coarse_ns() + hour_ns;
  object.put("settings", zero, settings);
}

void configure_server_from(Object& object, const TestConstants& constants,
                           const std::string& configuration) {
  const Json& moment = constants.moment("now");
  const std::uint64_t epoch = constants.present_epoch(moment);
  ActiveConfiguration now;
  now.config = read_configuration(configuration, read_server_config);
  now.master = constants.master();
  auto plan = make_plan(now.config, {});
  if (!plan)
    throw std::runtime_error(plan.error().message);
  now.plan = std::move(*plan);
  write_maps(object, now, contents_of(now.plan), epoch);
  write_settings(object, now, epoch, moment);
}

const Rig& server_rig() {
  static const Rig rig = rig_of(false);
  return rig;
}

const Rig& server_at_tc_rig() {
  static const Rig rig = rig_of(true);
  return rig;
}

} // namespace trap::test
