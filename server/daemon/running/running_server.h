// SPDX-License-Identifier: Apache-2.0
// A trap-server that runs: the configuration in force and the resources that its jobs share. The
// jobs are start, watch, reload, commands and reports.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/attach/xdp.h"
#include "runtime/capture/capture_desk.h"
#include "runtime/fd.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/pin_keeper.h"
#include "runtime/kernel/program.h"
#include "runtime/net/host_interfaces.h"
#include "runtime/takeover/takeover.h"
#include "server/daemon/announce/announcer.h"
#include "server/daemon/announce/hearing.h"
#include "server/daemon/maps/server_maps.h"
#include "server/daemon/plan/active_configuration.h"
#include "server/daemon/serving/assigner.h"
#include "server/daemon/serving/connection_filter.h"
#include "server/daemon/serving/handover_sampler.h"
#include "server/daemon/serving/listener_inspector.h"
#include "server/daemon/serving/self_test.h"
#include "server/daemon/serving/tc_attachments.h"
#include "server/daemon/state/runtime_state.h"
#include "server/daemon/state/ticket_check.h"
#include "server/daemon/watch/answer_losses.h"
#include "server/daemon/watch/own_macs.h"
#include "server/daemon/watch/return_ways.h"
#include "server/maps.h"

struct trap_server;

namespace trap::server {

using Senders = std::array<trap_sender, TRAP_SENDERS>;

struct RunningServer {
  explicit RunningServer(ServerConfig config);
  ~RunningServer();

  std::unique_ptr<ActiveConfiguration> active; // never null
  Fd pin_dir;                                  // its lock
  PinKeeper pins;
  Takeover takeover; // until the program is swapped
  Program<trap_server> program;
  MappedValue<trap_server_settings> settings;
  MappedValue<KnownWords> known_words;
  std::optional<KnownConnections> known;
  std::optional<ServerMaps> maps;
  RuntimeState runtime_state;
  std::unique_ptr<Announcer> announcer;
  HearingChecks hearing;
  XdpAttachments attachments;
  TcAttachments at_tc;       // in place of the former, if the configuration has attach = "tc"
  InterfaceWatch interfaces; // tells when one changes
  Assigner assigner;
  ListenerInspector inspector;
  std::string inspector_problem; // why listeners cannot be looked at
  HandoverSampler sampler;
  SelfTest self_test;
  AnswerLosses answer_losses;
  MappedValue<Senders> senders;
  ReturnWays return_ways;
  std::vector<trap_next_hop> next_hops; // as the program has them
  MappedValue<trap_own_macs> own_macs_map;
  OwnMacs own_macs;
  TicketCheck ticket_check;
  CaptureDesk captures;
  std::vector<HostAddress> host_addresses; // that services follow
  std::string addresses_problem;           // why the host's new addresses could not be followed
  std::string maps_problem;                // why the maps could not be refreshed, until they are
  std::uint64_t epoch = 0;                 // for which the keys were last renewed
};

// Sets the constants of a program that is not loaded yet.
void prepare_skeleton(trap_server& skeleton, const ServerConfig& config);

// Loads, fills and attaches everything; `undo` takes back what a failed start has done.
Result<void> start_server(RunningServer& server, Undo& undo);

// Looks after the pins of maps, links and the tc program.
void mend_pins(RunningServer& server);

// The interfaces with the program, wherever it is attached.
std::vector<XdpState> interface_states(const RunningServer& server);
std::vector<std::string> attached_interfaces(const RunningServer& server);
const std::vector<Uncovered>& uncovered_ways(const RunningServer& server);

// The programs of others that run at tc before TRAP's on an interface, each as "ingress NAME".
std::vector<std::string> tc_programs_before(const RunningServer& server,
                                            const std::string& interface);

// Attaches to interfaces that came, and lets go of those that went.
void follow_interfaces(RunningServer& server);

// Looks at the host's settings and at the listeners of services.
void look_around(RunningServer& server);

// Looks at the handshakes that went up to the stack.
void follow_handovers(RunningServer& server);

// Compares the ways that answers take with those of the routing table, for a sample of clients.
void follow_return_ways(RunningServer& server);

// Sends handshakes of the daemon's own on the way of clients, those that are due and a few at most.
// True if the answerer of a service changed.
bool run_self_tests(RunningServer& server);

// Tries this server's tickets at its guards, those that are due.
void check_tickets(RunningServer& server);

// Has services that lost handshakes answered at their best again.
void retry_handovers(RunningServer& server, const ServerPlan& plan);

// Writes to the maps what differs from the present runtime state. On failure `maps_problem` says
// why.
void refresh_maps(RunningServer& server);

// The problems that the watch logs as they come and go: host, listeners, backends, maps.
std::vector<std::string> runtime_problems(const RunningServer& server);

// All of them, with attachments and keys.
std::vector<std::string> problems_of(const RunningServer& server);

} // namespace trap::server
