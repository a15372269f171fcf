// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/running/running_guard.h"

#include <cerrno>
#include <cstdlib>

#include <fmt/core.h>

#include "guard/daemon/enforcement/lockout.h"
#include "guard/daemon/running/guard_takeover.h"
#include "runtime/control/status_json.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/nanoseconds.h"
#include "runtime/process/part.h"
#include "runtime/takeover/upon_pins.h"
#include "trap_guard.skel.h"

namespace trap::guard {
namespace {

constexpr char program_name[] = "trap-guard";

Result<void> map_tables(RunningGuard& guard) {
  auto& maps = guard.program->maps;
  auto settings = MappedValue<trap_guard_settings>::make(bpf_map__fd(maps.settings), "settings");
  if (!settings)
    return settings.error();
  guard.settings = std::move(*settings);
  auto flows = MappedArray<const trap_flow_bucket>::make(bpf_map__fd(maps.flows),
                                                         bpf_map__max_entries(maps.flows), "flows");
  if (!flows)
    return flows.error();
  guard.flows = std::move(*flows);
  auto half_open = MappedArray<const trap_flow_bucket>::make(
      bpf_map__fd(maps.half_open), bpf_map__max_entries(maps.half_open), "half_open");
  if (!half_open)
    return half_open.error();
  guard.half_open = std::move(*half_open);
  auto announced = MappedArray<const trap_announced_bucket>::make(
      bpf_map__fd(maps.announced), bpf_map__max_entries(maps.announced), "announced");
  if (!announced)
    return announced.error();
  guard.announced = std::move(*announced);
  auto clients = MappedArray<trap_client_bucket>::make(bpf_map__fd(maps.client_budgets),
                                                       bpf_map__max_entries(maps.client_budgets),
                                                       "client_budgets");
  if (!clients)
    return clients.error();
  guard.client_budgets = std::move(*clients);
  auto networks = MappedValue<Networks>::make(bpf_map__fd(maps.network_budgets), "network_budgets");
  if (!networks)
    return networks.error();
  guard.networks = std::move(*networks);
  const auto take = [](void* suspects, void* record, size_t size) {
    if (size >= sizeof(trap_suspect))
      static_cast<Suspects*>(suspects)->add(*static_cast<const trap_suspect*>(record),
                                            read_clocks().unix_s);
    return 0;
  };
  guard.suspects_buffer.reset(
      ring_buffer__new(bpf_map__fd(maps.suspects), take, &guard.suspects, nullptr));
  if (!guard.suspects_buffer)
    return map_error("suspects", "map into memory", errno);
  guard.captures.open(
      {.ring_fd = bpf_map__fd(maps.captured),
       .orders = [&guard] { return std::vector{&guard.program->bss->capture_order}; },
       .name_of_slot = [&guard](std::uint32_t slot) { return name_of_slot(*guard.active, slot); }});
  return {};
}

Result<void> load(RunningGuard& guard, Undo& undo) {
  const GuardConfig& config = guard.active->config;
  if (auto there = check_interfaces(config.part); !there)
    return there.error();
  guard.reads_ip = may_have_ip_interface(config.part); // it takes as long to load as the other
  auto lock = open_pin_dir(config.part.pin_dir, program_name, undo);
  if (!lock)
    return lock.error();
  auto program = load_upon_pins<trap_guard>(
      guard.takeover, config.part.pin_dir, program_name, takeover_plan(),
      [&](trap_guard& skeleton) {
        prepare_skeleton(skeleton, config);
        bpf_program__set_autoload(skeleton.progs.trap_guard_ip, guard.reads_ip);
      },
      undo);
  if (!program)
    return program.error();
  guard.pin_dir = std::move(*lock);
  guard.program = std::move(*program);
  auto& maps = guard.program->maps;
  guard.fds = {.ports = bpf_map__fd(maps.ports),
               .classes = bpf_map__fd(maps.classes),
               .network_classes = bpf_map__fd(maps.network_classes),
               .trap_servers = bpf_map__fd(maps.trap_servers),
               .trusted = bpf_map__fd(maps.trusted),
               .pools = bpf_map__fd(maps.pools),
               .tag_pools = bpf_map__fd(maps.tag_pools),
               .flow_keys = bpf_map__fd(maps.flow_keys),
               .client_keys = bpf_map__fd(maps.client_keys),
               .counters = bpf_map__fd(maps.counters),
               .monitored = bpf_map__fd(maps.monitored)};
  if (auto mapped = map_tables(guard); !mapped)
    return mapped.error();
  auto watch = InterfaceWatch::make();
  if (!watch)
    return watch.error();
  guard.interfaces = std::move(*watch);
  return guard.interfaces.join(ring_buffer__epoll_fd(guard.suspects_buffer.get()));
}

// A trial of enforcing goes on when the daemon is restarted under it; otherwise the configuration
// decides.
void begin_mode(RunningGuard& guard) {
  guard.enforcement = enforcement_of(*guard.settings, read_clocks().monotonic_ns);
  if (guard.enforcement.confirm_within_s) {
    log::info("mode: enforce, for {} more seconds unless confirmed: trapctl guard confirm",
              *guard.enforcement.confirm_within_s);
    return;
  }
  take_configured_mode(guard);
  log::info("mode: {}",
            guard.active->config.mode == Mode::enforce ? "enforce" : "monitor: nothing is dropped");
}

// Of interfaces that are there.
std::vector<std::string> answer_problems(const RunningGuard& guard) {
  if (!guard.unseen.are_many())
    return {};
  return {
      "answers of the services leave where this guard does not see them: clients get no CONSENT, "
      "and redirected ones go back to be served: add the interface by which they leave (ip route "
      "get CLIENT from ADDRESS), or take away the program before the guard's at egress"};
}

std::vector<std::string> egress_problems(const RunningGuard& guard) {
  std::vector<std::string> problems;
  for (const XdpState& state : guard.attachments.states()) {
    if (state.index != 0 && !guard.egress.state_of(state.index).attached)
      problems.push_back(
          fmt::format("interface {} does not have this daemon's egress filter", state.interface));
  }
  return problems;
}

std::string mode_problem(const RunningGuard& guard) {
  const Enforcement now = enforcement_of(*guard.settings, read_clocks().monotonic_ns);
  if (now.mode != Mode::monitor || guard.active->config.mode != Mode::enforce)
    return "";
  return guard.ran_out
             ? "monitors, because enforcing was not confirmed in time: nothing is dropped: trapctl "
               "guard enforce, and then confirm"
             : "monitors by command: nothing is dropped: trapctl guard enforce ends it";
}

constexpr std::int64_t lately_s = 60; // a TRAP server announces itself twice a minute

// Before tickets and announcements are refused because of it, and when they are.
std::vector<std::string> clock_problems(const RunningGuard& guard) {
  const auto accepted_s = static_cast<std::int64_t>(guard.active->config.clock_skew_s);
  const trap_clock_anchor now = read_clocks();
  std::vector<std::string> problems;
  bool heard_lately = false;
  for (const trap_address& address : guard.active->config.trap_servers) {
    const trap_guard_peer peer = read_peer(guard.fds, address);
    const std::int64_t silent_s = static_cast<std::int64_t>(now.unix_s) - peer.heard_s;
    heard_lately = heard_lately || (silent_s >= -lately_s && silent_s <= lately_s);
    const auto ahead_s = static_cast<std::int64_t>(peer.skew_s);
    if (peer.heard_s != 0 && std::abs(ahead_s) * 2 > accepted_s)
      problems.push_back(fmt::format("the clock of TRAP server {} is {} s {} this host's; {} s are "
                                     "accepted: see that both are synchronised",
                                     format_address(address), std::abs(ahead_s),
                                     ahead_s > 0 ? "ahead of" : "behind", accepted_s));
  }
  if (!heard_lately && guard.refused_ns != 0 &&
      now.monotonic_ns - guard.refused_ns < lately_s * ns_per_s)
    problems.emplace_back("announcements are refused for their time (drop-announce-time), and no "
                          "TRAP server was heard for a minute: compare this host's clock with "
                          "theirs");
  return problems;
}

constexpr std::uint32_t scope_told_s = 3600; // a redirect's and its announcement's longest life

// A TRAP server that masks clients otherwise makes tickets that are wrong here. Only its
// announcements say so: of a ticket no more than that its MAC is wrong can be seen.
std::vector<std::string> scope_problems(const RunningGuard& guard) {
  const auto now_s = static_cast<std::uint32_t>(read_clocks().unix_s);
  std::vector<std::string> problems;
  for (const trap_address& address : guard.active->config.trap_servers) {
    const trap_guard_peer peer = read_peer(guard.fds, address);
    if (peer.other_scope_s == 0 || now_s > peer.other_scope_s + scope_told_s)
      continue;
    const bool is_v4 = family_of(address) == TRAP_IPV4;
    for (const ServiceConfig& service : guard.active->config.services) {
      const unsigned scope = is_v4 ? service.scope_v4 : service.scope_v6;
      if (TRAP_BE16(service.port) == peer.other_scope_port && peer.other_scope != scope)
        problems.push_back(fmt::format(
            "TRAP server {} takes a /{} for one client of service \"{}\", and this guard a /{}: "
            "its tickets and announcements are refused: write scope_{} = {} at its backend, or "
            "scope_{} = {} here",
            format_address(address), peer.other_scope, service.name, scope, is_v4 ? "v4" : "v6",
            scope, is_v4 ? "v4" : "v6", peer.other_scope));
    }
  }
  return problems;
}

} // namespace

std::string name_of_slot(const ActiveConfiguration& active, std::uint32_t slot) {
  for (const ServiceConfig& service : active.config.services) {
    if (active.slots.at(service.port) == slot)
      return service.name;
  }
  return "";
}

RunningGuard::RunningGuard(GuardConfig config)
    : active(std::make_unique<ActiveConfiguration>()), egress(config.part.pin_dir) {
  active->config = std::move(config);
}

RunningGuard::~RunningGuard() = default;

void prepare_skeleton(trap_guard& skeleton, const GuardConfig& config) {
  skeleton.rodata->flow_buckets = flow_buckets(config);
  skeleton.rodata->announced_buckets = announced_buckets(config);
  skeleton.rodata->client_buckets = client_buckets(config);
  bpf_map__set_max_entries(skeleton.maps.flows, flow_buckets(config));
  bpf_map__set_max_entries(skeleton.maps.announced, announced_buckets(config));
  bpf_map__set_max_entries(skeleton.maps.client_budgets, client_buckets(config));
  bpf_map__set_max_entries(skeleton.maps.networks, most_networks(config));
}

Result<void> start_guard(RunningGuard& guard, Undo& undo) {
  if (auto loaded = load(guard, undo); !loaded)
    return loaded.error();
  if (auto carried = carry_tables(guard); !carried) // the programs at egress look for flows at once
    return carried.error();
  ActiveConfiguration& active = *guard.active;
  const PortSlots earlier = read_port_slots(guard.fds);
  auto slots = plan_slots(active.config, earlier);
  if (!slots)
    return slots.error();
  active.slots = std::move(*slots);
  auto attachments = XdpAttachments::make(
      active.config.part,
      {.ethernet = bpf_program__fd(guard.program->progs.trap_guard),
       .ip = guard.reads_ip ? bpf_program__fd(guard.program->progs.trap_guard_ip) : -1},
      undo);
  if (!attachments)
    return attachments.error();
  guard.attachments = std::move(*attachments);
  guard.egress.open_earlier();
  guard.egress.take_programs(guard.program->obj);
  if (auto attached = guard.egress.attach_at_start(guard.attachments.interfaces(), undo); !attached)
    return attached.error();
  publish_settings(guard); // from here on the maps change, and failures are unlikely
  begin_mode(guard);
  return write_maps(guard.fds, *guard.settings, active.config, active.slots, earlier);
}

void publish_settings(RunningGuard& guard) {
  const Secret& secret = guard.active->key.secret;
  forget_keys_of_others(*guard.settings, secret);
  renew_settings(*guard.settings, secret, read_clocks());
}

void follow_interfaces(RunningGuard& guard) {
  guard.attachments.follow();
  guard.egress.mend(guard.attachments.interfaces());
}

void mend_pins(RunningGuard& guard) {
  const std::string& pin_dir = guard.active->config.part.pin_dir;
  std::vector<Pin> pins = pins_of_maps(guard.program->obj, pin_dir);
  const std::vector<Pin> links = guard.attachments.pins();
  pins.insert(pins.end(), links.begin(), links.end());
  const std::vector<Pin> programs = guard.egress.pins();
  pins.insert(pins.end(), programs.begin(), programs.end());
  const std::vector<Pin> numbers = guard.takeover.pins();
  pins.insert(pins.end(), numbers.begin(), numbers.end());
  guard.pins.mend(pin_dir, program_name, pins, guard.pin_dir);
}

void take_configured_mode(RunningGuard& guard) {
  const Mode mode = guard.active->config.mode;
  set_mode(*guard.settings, mode);
  guard.enforcement = {mode, std::nullopt};
  guard.ran_out = false;
}

// Connections whose flow the guard has go on, whatever the configuration says of sockets.
std::vector<std::string> lockouts(const RunningGuard& guard, const GuardConfig& config,
                                  const std::optional<SshConnection>& ssh) {
  std::vector<trap_flow_key> open = established_here();
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  if (!guard.flows.values().empty())
    std::erase_if(open, [&](const trap_flow_key& key) {
      return has_flow(guard.flows.values(), key, guard.flow_secret, now_ns);
    });
  return lockout_warnings(config, ssh, open);
}

std::vector<std::string> warnings_of(const RunningGuard& guard) {
  std::vector<std::string> all = lockouts(guard, guard.active->config, find_ssh_connection());
  const std::vector<std::string> doubts = doubts_about(guard.active->config);
  all.insert(all.end(), doubts.begin(), doubts.end());
  return all;
}

void log_warnings(const RunningGuard& guard) {
  for (const std::string& warning : warnings_of(guard))
    log::warn("{}", warning);
}

std::vector<std::string> problems_of(const RunningGuard& guard) {
  std::vector<std::string> problems;
  if (!guard.active->config.accepts_uncovered && guard.enforcement.mode == Mode::enforce)
    problems = uncovered_problems(guard.attachments.uncovered());
  if (guard.attachments.interfaces().empty())
    problems.push_back("no interface is attached: nothing that \"interfaces\" matches is there");
  if (std::string problem = mode_problem(guard); !problem.empty())
    problems.push_back(std::move(problem));
  for (const auto& more : {interface_problems(guard.attachments.states()), egress_problems(guard),
                           key_problems(guard.settings->ticket_keys), clock_problems(guard),
                           scope_problems(guard), answer_problems(guard), guard.pins.problems()})
    problems.insert(problems.end(), more.begin(), more.end());
  return problems;
}

} // namespace trap::guard
