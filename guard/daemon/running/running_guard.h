// SPDX-License-Identifier: Apache-2.0
// A trap-guard that runs: the configuration in force and the resources that its jobs share. The
// jobs are start, watch, reload, commands and reports.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <bpf/libbpf.h>

#include "guard/daemon/enforcement/enforcement.h"
#include "guard/daemon/enforcement/suspects.h"
#include "guard/daemon/interfaces/egress_filters.h"
#include "guard/daemon/maps/guard_maps.h"
#include "guard/daemon/maps/tables.h"
#include "guard/daemon/running/unseen_answers.h"
#include "protocol/clock.h"
#include "runtime/attach/xdp.h"
#include "runtime/capture/capture_desk.h"
#include "runtime/fd.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/pin_keeper.h"
#include "runtime/kernel/program.h"
#include "runtime/keys/key_file.h"
#include "runtime/net/host_interfaces.h"
#include "runtime/net/ssh_connection.h"
#include "runtime/takeover/takeover.h"

struct trap_guard;

namespace trap::guard {

// A configuration in force with its key and the slots of its ports; a reload makes the next one.
struct ActiveConfiguration {
  GuardConfig config;
  GuardKey key;
  PortSlots slots;
};

struct RunningGuard {
  explicit RunningGuard(GuardConfig config);
  ~RunningGuard();
  RunningGuard(const RunningGuard&) = delete;
  RunningGuard& operator=(const RunningGuard&) = delete;

  std::unique_ptr<ActiveConfiguration> active; // never null
  Fd pin_dir;                                  // its lock
  PinKeeper pins;
  Takeover takeover; // until the programs are swapped
  Program<trap_guard> program;
  MappedValue<trap_guard_settings> settings;
  MappedArray<const trap_flow_bucket> flows;
  MappedArray<const trap_flow_bucket> half_open;
  trap_flow_keys flow_secret = {};
  MappedArray<const trap_announced_bucket> announced;
  MappedArray<trap_client_bucket> client_budgets;
  trap_client_keys client_secret = {};
  MappedValue<Networks> networks;
  MapFds fds;
  XdpAttachments attachments;
  InterfaceWatch interfaces; // tells when one changes
  bool reads_ip = false;     // the program for interfaces without a link layer is loaded
  EgressFilters egress;
  Suspects suspects;
  std::unique_ptr<ring_buffer, void (*)(ring_buffer*)> suspects_buffer{nullptr, ring_buffer__free};
  CaptureDesk captures;
  Enforcement enforcement;                       // at the last look
  bool ran_out = false;                          // the last trial of enforcing ended unconfirmed
  std::optional<std::uint64_t> refused_for_time; // announcements, at the last correction
  std::uint64_t refused_ns = 0;                  // when there were more of them; 0: never
  UnseenAnswers unseen;                          // at the last correction
  std::uint64_t clients = 0;                     // whose budgets are kept, at the last correction
};

// Sets sizes and constants of a program that is not loaded yet.
// Of the service that has this slot; empty if none has.
std::string name_of_slot(const ActiveConfiguration& active, std::uint32_t slot);

void prepare_skeleton(trap_guard& skeleton, const GuardConfig& config);

// Loads, fills and attaches everything but swaps no program yet: the caller corrects the counts
// first, and then calls attachments.swap_programs().
Result<void> start_guard(RunningGuard& guard, Undo& undo);

// Replaces keys of another secret, and renews clock and keys.
void publish_settings(RunningGuard& guard);

// Attaches to interfaces that came, and lets go of those that went.
void follow_interfaces(RunningGuard& guard);

// Looks after the pins of maps and links.
void mend_pins(RunningGuard& guard);

// The configuration's mode, in place of an operator's command.
void take_configured_mode(RunningGuard& guard);

// Connections that `config` would cut off: of the operator's SSH session and of others that no flow
// of the guard stands for. One line each.
std::vector<std::string> lockouts(const RunningGuard& guard, const GuardConfig& config,
                                  const std::optional<SshConnection>& ssh);

// These, and settings that may not be intended.
std::vector<std::string> warnings_of(const RunningGuard& guard);
void log_warnings(const RunningGuard& guard);

// The reasons why the guard does not work as configured, one line each.
std::vector<std::string> problems_of(const RunningGuard& guard);

} // namespace trap::guard
