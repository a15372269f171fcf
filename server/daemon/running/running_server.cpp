// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/running/running_server.h"

#include <algorithm>
#include <cstring>

#include <fmt/ranges.h>
#include <net/if_arp.h>

#include "protocol/ticket.h"
#include "runtime/control/status_json.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/net/host_interfaces.h"
#include "runtime/net/stack_counter.h"
#include "runtime/process/part.h"
#include "runtime/takeover/upon_pins.h"
#include "server/daemon/maps/server_settings.h"
#include "server/daemon/running/server_takeover.h"
#include "server/daemon/state/way_into_vrf.h"
#include "trap_server.skel.h"

namespace trap::server {
namespace {

constexpr char program_name[] = "trap-server";
constexpr int most_tests_at_once = 4;        // five times a second: a minute has room for 1,200
constexpr int most_client_tests_at_once = 2; // once a second; each takes up to 180 ms

// The program reads frames. On a tunnel without a link layer it would take every packet for one of
// another protocol, and let it pass.
Result<void> check_link_layers(const PartConfig& config) {
  const auto all = list_interfaces();
  if (!all)
    return all.error();
  for (const HostInterface& interface : *all) {
    if (interface.type == ARPHRD_ETHER || interface.type == ARPHRD_LOOPBACK ||
        std::ranges::find(config.interfaces, interface.name) == config.interfaces.end())
      continue;
    return Error{fmt::format(
        "interface {}: its packets have no Ethernet header{}, and trap-server reads frames: have "
        "clients come by an Ethernet interface, or take {} out of \"interfaces\"",
        interface.name, interface.kind.empty() ? "" : fmt::format(" (kind {})", interface.kind),
        interface.name)};
  }
  return {};
}

Result<void> load(RunningServer& server, Undo& undo) {
  const ServerConfig& config = server.active->config;
  if (auto there = check_interfaces(config.part); !there)
    return there.error();
  if (auto suit = check_link_layers(config.part); !suit)
    return suit.error();
  auto lock = open_pin_dir(config.part.pin_dir, program_name, undo);
  if (!lock)
    return lock.error();
  auto program = load_upon_pins<trap_server>(
      server.takeover, config.part.pin_dir, program_name, takeover_plan(),
      [&](trap_server& skeleton) { prepare_skeleton(skeleton, config); }, undo);
  if (!program)
    return program.error();
  server.pin_dir = std::move(*lock);
  server.program = std::move(*program);
  return {};
}

// Those of an earlier run may be of a router that has gone.
Result<void> write_next_hops(RunningServer& server, std::vector<trap_next_hop> hops) {
  const int fd = bpf_map__fd(server.program->maps.next_hops);
  for (std::uint32_t place = 0; place < TRAP_NEXT_HOPS; place++) {
    const trap_next_hop value = place < hops.size() ? hops[place] : trap_next_hop{};
    if (auto written = map_write(fd, "next_hops", place, value); !written)
      return written.error();
  }
  server.next_hops = std::move(hops);
  return {};
}

Result<void> open_maps(RunningServer& server) {
  auto& maps = server.program->maps;
  auto settings = MappedValue<trap_server_settings>::make(bpf_map__fd(maps.settings), "settings");
  if (!settings)
    return settings.error();
  server.settings = std::move(*settings);
  auto known =
      MappedValue<KnownWords>::make(bpf_map__fd(maps.connection_filter), "connection_filter");
  if (!known)
    return known.error();
  server.known_words = std::move(*known);
  server.known.emplace(*server.known_words, *server.settings);
  if (auto opened =
          server.sampler.open(bpf_map__fd(maps.watched_handovers), bpf_map__fd(maps.handed_over));
      !opened)
    return opened.error();
  auto senders = MappedValue<Senders>::make(bpf_map__fd(maps.senders), "senders");
  if (!senders)
    return senders.error();
  server.senders = std::move(*senders);
  auto own_macs = MappedValue<trap_own_macs>::make(bpf_map__fd(maps.own_macs), "own_macs");
  if (!own_macs)
    return own_macs.error();
  server.own_macs_map = std::move(*own_macs);
  server.own_macs.follow(*server.own_macs_map, list_own_macs());
  if (auto written = write_next_hops(server, {}); !written)
    return written.error();
  server.maps.emplace(MapFds{.places = bpf_map__fd(maps.service_table),
                             .services = bpf_map__fd(maps.services),
                             .selections = bpf_map__fd(maps.selections),
                             .backends = bpf_map__fd(maps.backends),
                             .guards = bpf_map__fd(maps.guards),
                             .policies = bpf_map__fd(maps.policies),
                             .clients = bpf_map__fd(maps.clients),
                             .caps = bpf_map__fd(maps.caps),
                             .allowances = bpf_map__fd(maps.allowances),
                             .counters = bpf_map__fd(maps.counters)});
  return {};
}

// From here on the maps change, and failures are unlikely.
Result<void> fill_maps(RunningServer& server, const EarlierMaps& earlier) {
  const ActiveConfiguration& active = *server.active;
  const MapContents contents = server.runtime_state.contents(active.plan);
  auto change = server.maps->prepare(active.plan, contents);
  if (!change)
    return change.error();
  publish_settings(*server.settings, active, read_clocks());
  if (auto applied =
          server.maps->apply(active.plan, contents, *change, earlier, active.master, server.epoch);
      !applied)
    return applied.error();
  server.runtime_state.note_written(active.plan, contents);
  server.known->watch(server.runtime_state.ports_with_sockets());
  return {};
}

Result<void> plan_upon(RunningServer& server, const EarlierMaps& earlier) {
  ActiveConfiguration& active = *server.active;
  auto plan = make_plan(active.config, earlier);
  if (!plan)
    return plan.error();
  active.plan = std::move(*plan);
  server.runtime_state.go_on_from(earlier.services);
  return server.runtime_state.follow(active.config, active.plan);
}

std::string name_of_slot(const RunningServer& server, std::uint32_t slot) {
  for (const PlannedService& planned : server.active->plan.services) {
    if (planned.slot == slot)
      return planned.service->name;
  }
  return "";
}

Result<void> make_announcer(RunningServer& server) {
  const ActiveConfiguration& active = *server.active;
  auto announcer = Announcer::make(active.config, active.plan, active.master,
                                   bpf_map__fd(server.program->maps.redirected));
  if (!announcer)
    return announcer.error();
  server.announcer = std::move(*announcer);
  server.announcer->rotate_keys(server.epoch);
  server.hearing.follow(active.config, active.plan);
  server.captures.open(
      {.ring_fd = bpf_map__fd(server.program->maps.captured),
       .orders = [&server] { return std::vector{&server.program->bss->capture_order}; },
       .name_of_slot = [&server](std::uint32_t slot) { return name_of_slot(server, slot); }});
  return {};
}

bool is_at_tc(const RunningServer& server) {
  return server.active->config.attach == Attach::tc;
}

Result<void> attach_at_xdp(RunningServer& server, Undo& undo) {
  auto attachments =
      XdpAttachments::make(server.active->config.part,
                           {.ethernet = bpf_program__fd(server.program->progs.trap_server),
                            .behind = bpf_map__fd(server.program->maps.behind)},
                           undo);
  if (!attachments)
    return attachments.error();
  server.attachments = std::move(*attachments);
  return {};
}

Result<void> attach_at_tc(RunningServer& server, Undo& undo) {
  auto attachments = TcAttachments::make(
      server.active->config.part, bpf_program__fd(server.program->progs.trap_server_tc), undo);
  if (!attachments)
    return attachments.error();
  server.at_tc = std::move(*attachments);
  return {};
}

// Once the maps are filled. An earlier run may have had the other hook.
Result<void> swap_programs(RunningServer& server) {
  if (is_at_tc(server))
    return server.at_tc.swap_programs();
  if (auto swapped = server.attachments.swap_programs(); !swapped)
    return swapped.error();
  TcAttachments::detach(server.active->config.part.pin_dir);
  return {};
}

Result<void> attach(RunningServer& server, Undo& undo) {
  const ServerConfig& config = server.active->config;
  if (auto attached = is_at_tc(server) ? attach_at_tc(server, undo) : attach_at_xdp(server, undo);
      !attached)
    return attached.error();
  auto watch = InterfaceWatch::make();
  if (!watch)
    return watch.error();
  server.interfaces = std::move(*watch);
  if (auto joined = server.interfaces.join(server.announcer->event_fd()); !joined)
    return joined.error();
  return server.assigner.start(config.part, attached_interfaces(server),
                               is_at_tc(server) ? bpf_map__fd(server.program->maps.assigner) : -1,
                               config.cookies == Cookies::automatic, undo);
}

HandoverCounts count_handovers(const RunningServer& server, const PlannedService& planned) {
  const std::uint64_t handed = server.sampler.handed(planned.slot); // before those that arrived
  const VerdictCounts verdicts = CounterReader(server.maps->fds().counters).read(planned.slot);
  return {.handed = handed,
          .tried = server.assigner.tried(planned.slot),
          .failed = verdicts[TRAP_DROP_INTERNAL].packets,
          .samples = server.sampler.samples(planned.address),
          .left = verdicts[TRAP_PASS_SYN_LEFT].packets,
          .completed = verdicts[TRAP_PASS_HANDSHAKE].packets + verdicts[TRAP_PASS_COOKIE].packets};
}

// Its own program would meet a test, and judge it, unless the service rests.
bool can_test(const RunningServer& server, const PlannedService& planned, const XdpState& at) {
  return at.index != 0 && !(at.mode == "generic" && server.runtime_state.is_active(planned));
}

// In the name of clients whose handshakes were lost, each by the interface that it came by.
ClientTests test_clients(RunningServer& server, const PlannedService& planned) {
  ClientTests tests;
  const std::vector<XdpState> states = interface_states(server);
  const Shortfall* shortfall = server.runtime_state.shortfall(planned);
  const bool by_kernel = shortfall && shortfall->at_best() == Answerer::kernel_cookies;
  for (const SampledClient& client : server.sampler.last_losers(planned.address, by_kernel)) {
    const auto at = std::ranges::find(states, client.interface, &XdpState::index);
    if (at == states.end() || !can_test(server, planned, *at))
      continue;
    const TestResult result = server.self_test.run(at->interface, planned.address, server.assigner,
                                                   is_at_tc(server), client.address);
    if (result == TestResult::passed)
      tests.passed++;
    else if (result == TestResult::unanswered)
      tests.unanswered++;
    else if (result != TestResult::unknown)
      tests.lost++;
  }
  return tests;
}

// By each interface, up to the first that loses handshakes.
void test_ways(RunningServer& server, const PlannedService& planned) {
  TestResult result = TestResult::unknown;
  std::string interface;
  for (const XdpState& at : interface_states(server)) {
    if (!can_test(server, planned, at))
      continue;
    const TestResult here =
        server.self_test.run(at.interface, planned.address, server.assigner, is_at_tc(server));
    if (here == TestResult::unknown || here == TestResult::unanswered)
      continue;
    result = here;
    interface = at.interface;
    if (here != TestResult::passed)
      break;
  }
  server.runtime_state.note_test(planned, result, interface);
}

// Once handshakes are lost, the programs that may take them are worth a line each.
std::vector<std::string> neighbor_problems(const RunningServer& server) {
  std::vector<std::string> problems;
  if (std::ranges::none_of(server.active->plan.services, [&](const PlannedService& planned) {
        const Shortfall* shortfall = server.runtime_state.shortfall(planned);
        return shortfall && !shortfall->reason().empty();
      }))
    return problems;
  for (const XdpState& state : interface_states(server)) {
    const std::vector<std::string> before = tc_programs_before(server, state.interface);
    if (!before.empty())
      problems.push_back(fmt::format(
          "interface {}: other tc programs run before TRAP's: {}: have them leave packets to the "
          "next (TCX_NEXT), or restart trap-server, which goes to the front",
          state.interface, fmt::join(before, ", ")));
  }
  return problems;
}

// Does what leaves by `route` go out where `entry` is? Bridges and bonds stand for their ports, and
// what lies on an interface for that.
bool is_same_link(unsigned entry, unsigned route) {
  if (entry == route)
    return true;
  const auto all = list_interfaces();
  return all && std::ranges::any_of(*all, [&](const HostInterface& interface) {
           return (interface.index == entry && interface.master == route) ||
                  (interface.index == route && interface.lower == entry);
         });
}

// By service; those whose clients come by no VRF are not there.
std::map<Endpoint, std::string> find_ways_into_vrfs(const ServerPlan& plan,
                                                    const std::vector<std::string>& interfaces) {
  std::map<Endpoint, std::string> ways;
  const auto all = list_interfaces();
  if (!all || std::ranges::none_of(
                  *all, [](const HostInterface& interface) { return interface.slave_of == "vrf"; }))
    return ways;
  const std::vector<HostAddress> addresses = list_host_addresses();
  for (const PlannedService& planned : plan.services) {
    std::vector<std::string> holders;
    for (const HostAddress& held : addresses)
      if (trap_address_equal(&held.address, &planned.address.address))
        holders.push_back(held.interface);
    if (std::string way = find_way_into_vrf(*all, interfaces, holders); !way.empty())
      ways[planned.address] = std::move(way);
  }
  return ways;
}

std::vector<std::string> native_interfaces(const RunningServer& server) {
  std::vector<std::string> names;
  for (const XdpState& state : interface_states(server))
    if (state.mode == "native")
      names.push_back(state.interface);
  return names;
}

} // namespace

RunningServer::RunningServer(ServerConfig config)
    : active(std::make_unique<ActiveConfiguration>()) {
  active->config = std::move(config);
}

RunningServer::~RunningServer() = default;

void prepare_skeleton(trap_server& skeleton, const ServerConfig& config) {
  skeleton.rodata->send_experimental = config.experimental_kind;
  bpf_program__set_autoload(skeleton.progs.trap_server, config.attach == Attach::xdp);
  bpf_program__set_autoload(skeleton.progs.trap_server_tc, config.attach == Attach::tc);
}

Result<void> start_server(RunningServer& server, Undo& undo) {
  if (auto loaded = load(server, undo); !loaded)
    return loaded.error();
  if (auto opened = open_maps(server); !opened)
    return opened.error();
  if (auto carried = carry_services(server); !carried)
    return carried.error();
  if (auto carried = carry_budgets(server); !carried)
    return carried.error();
  const ActiveConfiguration& active = *server.active;
  server.epoch = trap_epoch(read_clocks().unix_ns);
  const EarlierMaps earlier =
      server.maps->read(guard_names(active.config), active.master, server.epoch);
  if (auto planned = plan_upon(server, earlier); !planned)
    return planned.error();
  if (auto made = make_announcer(server); !made)
    return made.error();
  if (auto attached = attach(server, undo); !attached)
    return attached.error();
  if (auto inspected = server.inspector.load(); !inspected)
    server.inspector_problem =
        fmt::format("cannot look at sockets, so that MPTCP, signatures and handshakes that this "
                    "host loses go unnoticed: {}",
                    inspected.error().message);
  server.self_test.open();
  look_around(server);
  if (auto filled = fill_maps(server, earlier); !filled)
    return filled.error();
  if (auto swapped = swap_programs(server); !swapped)
    return swapped.error();
  if (auto finished = server.takeover.finish(); !finished)
    return finished.error();
  server.announcer->guard_here().follow(server.attachments.program_behind());
  server.assigner.remove_unwanted();
  check_tickets(server);
  warn_of_private_backends(active.config);
  warn_of_shared_doors(active.config);
  return {};
}

void look_around(RunningServer& server) {
  const ActiveConfiguration& active = *server.active;
  const std::vector<std::string> interfaces = attached_interfaces(server);
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  server.answer_losses.observe(now_ns, interfaces, native_interfaces(server));
  server.runtime_state.note_ways_into_vrfs(find_ways_into_vrfs(active.plan, interfaces));
  server.runtime_state.look_at_host(active.plan, interfaces, server.assigner.works(),
                                    server.answer_losses.loses_all(now_ns));
  std::vector<Endpoint> listeners;
  for (const PlannedService& planned : active.plan.services) {
    if (planned.service->serves())
      listeners.push_back(planned.address);
  }
  std::map<Endpoint, ListenerFacts> facts;
  std::map<Endpoint, QueueSight> queues;
  for (const auto& [address, seen] :
       server.inspector.look_at(listeners, interfaces.empty() ? "" : interfaces.front())) {
    facts[address] = seen.facts;
    queues[address] = seen.queue;
  }
  server.runtime_state.note_listeners(facts);
  server.runtime_state.note_queues(queues, read_stack_counter("TcpExt", "ListenOverflows"));
}

std::vector<XdpState> interface_states(const RunningServer& server) {
  return is_at_tc(server) ? server.at_tc.states() : server.attachments.states();
}

std::vector<std::string> attached_interfaces(const RunningServer& server) {
  return is_at_tc(server) ? server.at_tc.interfaces() : server.attachments.interfaces();
}

const std::vector<Uncovered>& uncovered_ways(const RunningServer& server) {
  return is_at_tc(server) ? server.at_tc.uncovered() : server.attachments.uncovered();
}

std::vector<std::string> tc_programs_before(const RunningServer& server,
                                            const std::string& interface) {
  return is_at_tc(server) ? server.at_tc.programs_before(interface)
                          : server.assigner.programs_before(interface);
}

void follow_interfaces(RunningServer& server) {
  server.own_macs.follow(*server.own_macs_map, list_own_macs());
  if (is_at_tc(server))
    server.at_tc.follow();
  else
    server.attachments.follow();
  server.announcer->guard_here().follow(server.attachments.program_behind());
  server.assigner.mend(attached_interfaces(server));
}

void follow_handovers(RunningServer& server) {
  const ServerPlan& plan = server.active->plan;
  const auto overflowed = [&](const Endpoint& address, std::uint64_t after_ns) {
    const ListenerQueue* queue = server.runtime_state.queue(address);
    return queue && queue->overflowed_after(after_ns);
  };
  server.sampler.advance(plan, server.inspector, overflowed, read_clocks().monotonic_ns);
  int left = most_client_tests_at_once;
  for (const PlannedService& planned : plan.services) {
    if (!planned.service->serves())
      continue;
    server.runtime_state.note_handovers(planned, count_handovers(server, planned));
    const Shortfall* shortfall = server.runtime_state.shortfall(planned);
    if (shortfall && shortfall->wants_client_tests() && left-- > 0)
      server.runtime_state.note_client_tests(planned, test_clients(server, planned));
  }
}

void follow_return_ways(RunningServer& server) {
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  for (std::size_t place = 0; place < server.senders->size(); place++) {
    trap_sender& sender = (*server.senders)[place];
    if (__atomic_load_n(&sender.state, __ATOMIC_ACQUIRE) != TRAP_SENDER_TOLD)
      continue;
    Sighting sighting;
    sighting.client = sender.client;
    sighting.interface = sender.interface_index;
    sighting.completed = place >= TRAP_SENDERS / 2;
    std::ranges::copy(sender.mac, sighting.from.begin());
    const auto planned =
        std::ranges::find(server.active->plan.services, sender.slot, &PlannedService::slot);
    __atomic_store_n(&sender.state, __u32{TRAP_SENDER_FREE}, __ATOMIC_RELEASE);
    if (planned == server.active->plan.services.end())
      continue;
    sighting.source = {planned->address.address, server.runtime_state.mark_of(*planned)};
    if (const auto route = find_return_route(sighting.client, sighting.source,
                                             {sighting.interface, sighting.from}))
      server.return_ways.note(now_ns, sighting, *route,
                              is_same_link(sighting.interface, route->interface),
                              server.runtime_state.told_values(sighting.client));
  }
  server.return_ways.renew(find_return_route, [&](const trap_address& client) {
    return server.runtime_state.told_values(client);
  });
  std::vector<trap_next_hop> hops = server.return_ways.next_hops(now_ns);
  const auto is_same = [](const trap_next_hop& one, const trap_next_hop& other) {
    return std::memcmp(&one, &other, sizeof(one)) == 0;
  };
  if (!std::ranges::equal(hops, server.next_hops, is_same))
    if (auto written = write_next_hops(server, std::move(hops)); !written)
      log::warn("{}", written.error().message);
  server.runtime_state.note_next_hops(!server.next_hops.empty());
}

bool run_self_tests(RunningServer& server) {
  RuntimeState& state = server.runtime_state;
  bool changed = false;
  int left = most_tests_at_once;
  for (const PlannedService& planned : server.active->plan.services) {
    if (!state.assigns() || !state.wants_test(planned))
      continue;
    if (left-- == 0)
      break;
    test_ways(server, planned);
    changed = changed || state.answering(planned).by != Answerer::own_cookies;
    if (state.test_result(planned) != TestResult::passed)
      break; // it has taken its time
  }
  return changed;
}

void check_tickets(RunningServer& server) {
  const trap_clock_anchor now = read_clocks();
  const auto make_ticket = [&](const PlannedBackend& backend,
                               const trap_address& client) -> std::optional<trap_ticket> {
    const auto guard = server.maps->keys_of_guard(backend.value.guard);
    const std::uint64_t epoch = trap_epoch(now.unix_ns);
    trap_key key;
    if (!guard || !trap_keyring_find(&*guard, epoch, &key))
      return std::nullopt;
    const auto family = static_cast<__u8>(family_of(client));
    const trap_grant grant = {client, backend.value.port, family,
                              family == TRAP_IPV4 ? backend.value.scope_v4
                                                  : backend.value.scope_v6};
    return trap_ticket_make(&key, epoch, static_cast<__u32>(now.unix_s),
                            TRAP_FROM_BE16(backend.value.lifetime_s), backend.value.tag, &grant);
  };
  server.ticket_check.advance(server.active->plan, now.monotonic_ns, make_ticket);
}

void retry_handovers(RunningServer& server, const ServerPlan& plan) {
  server.answer_losses.retry();
  server.return_ways.forget();
  server.sampler.forget_before(read_clocks().monotonic_ns);
  for (const PlannedService& planned : plan.services)
    if (planned.service->serves())
      server.runtime_state.retry_handovers(planned, count_handovers(server, planned));
}

void refresh_maps(RunningServer& server) {
  const ServerPlan& plan = server.active->plan;
  const MapContents contents = server.runtime_state.contents(plan);
  if (server.runtime_state.lets_sockets_appear(plan, contents))
    server.known->distrust(read_clocks().monotonic_ns);
  auto refreshed = server.maps->refresh(contents);
  server.maps_problem = refreshed ? "" : refreshed.error().message;
  if (!refreshed)
    return;
  server.runtime_state.note_written(plan, contents);
  server.known->watch(server.runtime_state.ports_with_sockets());
}

void mend_pins(RunningServer& server) {
  const std::string& pin_dir = server.active->config.part.pin_dir;
  std::vector<Pin> pins = pins_of_maps(server.program->obj, pin_dir);
  for (const auto& more : {server.attachments.pins(), server.at_tc.pins(), server.assigner.pins(),
                           server.takeover.pins()})
    pins.insert(pins.end(), more.begin(), more.end());
  server.pins.mend(pin_dir, program_name, pins, server.pin_dir);
}

std::vector<std::string> runtime_problems(const RunningServer& server) {
  std::vector<std::string> problems = server.runtime_state.problems(server.active->plan);
  for (const std::string& problem :
       {server.maps_problem, server.known->problem(), server.inspector_problem,
        server.self_test.problem(), server.addresses_problem, server.own_macs.problem()}) {
    if (!problem.empty())
      problems.push_back(problem);
  }
  const BackendAvailability& backends = server.runtime_state.backends();
  const std::vector<std::string> unheard =
      server.hearing.problems([&](const Endpoint& backend) { return backends.health_of(backend); });
  problems.insert(problems.end(), unheard.begin(), unheard.end());
  for (const ServiceConfig& service : server.active->config.services) {
    bool is_told = false;
    for (const AddressPattern& pattern : unmatched_patterns(service, server.host_addresses)) {
      // The host is asked from the first tick on.
      if (pattern.interface.empty() || server.host_addresses.empty())
        continue;
      problems.push_back(unmatched_text(service, pattern));
      is_told = true;
    }
    if (service.addresses.empty() && !is_told)
      problems.push_back(
          fmt::format("service \"{}\": this host has none of its addresses now", service.name));
  }
  for (const auto& more :
       {neighbor_problems(server), server.announcer->guard_here().problems(),
        server.return_ways.problems(read_clocks().monotonic_ns),
        server.answer_losses.problems(read_clocks().monotonic_ns),
        ticket_problems(server.active->plan, server.ticket_check, [&](const Endpoint& backend) {
          return server.runtime_state.backends().last_health(backend);
        })})
    problems.insert(problems.end(), more.begin(), more.end());
  return problems;
}

std::vector<std::string> problems_of(const RunningServer& server) {
  std::vector<std::string> problems = interface_problems(interface_states(server));
  if (attached_interfaces(server).empty())
    problems.push_back("no interface is attached: nothing that \"interfaces\" matches is there");
  for (const auto& more : {key_problems(server.settings->cookie_keys), runtime_problems(server),
                           server.at_tc.problems(), server.pins.problems()})
    problems.insert(problems.end(), more.begin(), more.end());
  return problems;
}

} // namespace trap::server
