// SPDX-License-Identifier: Apache-2.0
// A trap-client that runs: the configuration in force and the resources that its jobs share. The
// jobs are start, interfaces, reload, commands and reports.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "client/daemon/config/client_config.h"
#include "client/daemon/interfaces/attachments.h"
#include "client/daemon/interfaces/interface_plan.h"
#include "client/daemon/maps/client_maps.h"
#include "client/daemon/maps/routing_maps.h"
#include "client/daemon/redirects/renewer.h"
#include "client/daemon/redirects/translator.h"
#include "client/maps.h"
#include "runtime/capture/capture_desk.h"
#include "runtime/fd.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/pin_keeper.h"
#include "runtime/kernel/program.h"
#include "runtime/knock/knock_desk.h"
#include "runtime/net/host_interfaces.h"
#include "runtime/takeover/takeover.h"

struct trap_client;

namespace trap::client {

// The configuration in force; a reload makes the next one.
struct ActiveConfiguration {
  ClientConfig config;
};

// Maps that the daemon reads and writes while it runs.
struct MapFds {
  int redirects = -1;
  int fallbacks = -1;
  int pending = -1;
  int to_backend = -1;
  int counters = -1;
  int links = -1;
  TrustFds trust;
  RoutingFds routing;
};

struct RunningClient {
  explicit RunningClient(ClientConfig config);
  ~RunningClient();

  std::unique_ptr<ActiveConfiguration> active; // never null
  Fd pin_dir;                                  // its lock
  PinKeeper pins;
  Takeover takeover;                               // until the programs are in place
  Program<trap_client> program;                    // of the host's own connections, on Ethernet
  std::vector<Program<trap_client>> more_programs; // upon its maps, for other interfaces
  MappedValue<trap_client_settings> settings;
  MapFds fds;
  Attachments attachments;
  InterfaceWatch interfaces; // tells when one changes
  InterfacePlan plan;        // of the interfaces as they were last
  Renewer renewer;
  TranslatorFinder translator;
  std::string routing_unknown; // why redirects are not judged by this host's rules and routes
  std::uint64_t redirects_flushed = 0; // by command
  KnockDesk knocks;
  CaptureDesk captures;
};

// Sets the sizes of a program that is not loaded yet.
void size_tables(trap_client& skeleton, const ClientConfig& config);

// Leaves out all programs but the two for such interfaces.
void choose_programs(trap_client& skeleton, Side side, Framing framing);

// The translator's prefix: as configured, or as it was found; nothing if it is not known.
std::optional<Prefix> translator_of(const RunningClient& client, const ClientConfig& config);

// Writes the policy of a configuration, with that prefix, into the maps.
Result<void> publish_policy(RunningClient& client, ClientConfig config);

// Loads the program and opens its maps; `undo` takes back what a failed start has done.
Result<void> load_client(RunningClient& client, Undo& undo);

// Looks after the pins of maps and programs.
void mend_pins(RunningClient& client);

// The reasons why the client does not work as configured, one line each.
std::vector<std::string> problems_of(const RunningClient& client);

} // namespace trap::client
