// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/running/running_client.h"

#include <fmt/core.h>

#include "client/daemon/running/client_takeover.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/takeover/upon_pins.h"
#include "trap_client.skel.h"

namespace trap::client {
namespace {

constexpr char program_name[] = "trap-client";

Result<const bpf_object*> load_programs(RunningClient& client, Side side, Framing framing) {
  if (side == Side::host && framing == Framing::ethernet)
    return client.program.object();
  auto more =
      Program<trap_client>::load_beside(client.program.object(), [&](trap_client& skeleton) {
        choose_programs(skeleton, side, framing);
      });
  if (!more)
    return more.error();
  client.more_programs.push_back(std::move(*more));
  return client.more_programs.back().object();
}

} // namespace

RunningClient::RunningClient(ClientConfig config)
    : active(std::make_unique<ActiveConfiguration>()),
      attachments(config.part.pin_dir, [this](Side side, Framing framing) {
        return load_programs(*this, side, framing);
      }) {
  active->config = std::move(config);
}

RunningClient::~RunningClient() = default;

void size_tables(trap_client& skeleton, const ClientConfig& config) {
  bpf_map__set_max_entries(skeleton.maps.redirects, config.max_redirects);
  bpf_map__set_max_entries(skeleton.maps.to_backend, config.max_flows);
  bpf_map__set_max_entries(skeleton.maps.to_public, config.max_flows);
}

// Loading costs a third of a second of CPU a program, so that those for interfaces that are not
// there stay out.
void choose_programs(trap_client& skeleton, Side side, Framing framing) {
  bpf_program* program;
  bpf_object__for_each_program(program, skeleton.obj) {
    const std::string name = bpf_program__name(program);
    bpf_program__set_autoload(program,
                              name == filter_program_name(Direction::ingress, side, framing) ||
                                  name == filter_program_name(Direction::egress, side, framing));
  }
}

std::optional<Prefix> translator_of(const RunningClient& client, const ClientConfig& config) {
  return config.nat64 ? config.nat64 : client.translator.found();
}

Result<void> publish_policy(RunningClient& client, ClientConfig config) {
  config.nat64 = translator_of(client, config);
  return write_policy(client.fds.trust, *client.settings, config);
}

Result<void> load_client(RunningClient& client, Undo& undo) {
  const ClientConfig& config = client.active->config;
  auto lock = open_pin_dir(config.part.pin_dir, program_name, undo);
  if (!lock)
    return lock.error();
  auto program = load_upon_pins<trap_client>(
      client.takeover, config.part.pin_dir, program_name, takeover_plan(),
      [&](trap_client& skeleton) {
        size_tables(skeleton, config);
        choose_programs(skeleton, Side::host, Framing::ethernet);
      },
      undo);
  if (!program)
    return program.error();
  client.pin_dir = std::move(*lock);
  client.program = std::move(*program);
  auto& maps = client.program->maps;
  auto settings = MappedValue<trap_client_settings>::make(bpf_map__fd(maps.settings), "settings");
  if (!settings)
    return settings.error();
  client.settings = std::move(*settings);
  client.fds = {.redirects = bpf_map__fd(maps.redirects),
                .fallbacks = bpf_map__fd(maps.fallbacks),
                .pending = bpf_map__fd(maps.pending),
                .to_backend = bpf_map__fd(maps.to_backend),
                .counters = bpf_map__fd(maps.counters),
                .links = bpf_map__fd(maps.links),
                .trust = {.services = bpf_map__fd(maps.trust_services),
                          .targets = bpf_map__fd(maps.trust_targets)},
                .routing = {.rules = bpf_map__fd(maps.rules), .routes = bpf_map__fd(maps.routes)}};
  client.captures.open({.ring_fd = bpf_map__fd(maps.captured),
                        .orders =
                            [&client] {
                              std::vector orders{&client.program->bss->capture_order};
                              for (Program<trap_client>& more : client.more_programs)
                                orders.push_back(&more->bss->capture_order);
                              return orders;
                            },
                        .name_of_slot = {}});
  if (auto noted = note_remotes(client); !noted)
    return noted.error();
  client.attachments.open_earlier();
  return {};
}

void mend_pins(RunningClient& client) {
  const std::string& pin_dir = client.active->config.part.pin_dir;
  std::vector<Pin> pins = pins_of_maps(client.program->obj, pin_dir);
  const std::vector<Pin> programs = client.attachments.pins();
  pins.insert(pins.end(), programs.begin(), programs.end());
  const std::vector<Pin> numbers = client.takeover.pins();
  pins.insert(pins.end(), numbers.begin(), numbers.end());
  client.pins.mend(pin_dir, program_name, pins, client.pin_dir);
}

std::vector<std::string> problems_of(const RunningClient& client) {
  std::vector<std::string> problems = client.plan.problems;
  for (const PlannedInterface& interface : client.plan.interfaces) {
    if (!client.attachments.state_of(interface).attached)
      problems.push_back(
          fmt::format("interface {} does not have this daemon's filters", interface.name));
  }
  if (!client.routing_unknown.empty())
    problems.push_back(
        fmt::format("redirects are followed without a look at this host's rules and routes: {}",
                    client.routing_unknown));
  for (std::string& problem : client.pins.problems())
    problems.push_back(std::move(problem));
  return problems;
}

} // namespace trap::client
