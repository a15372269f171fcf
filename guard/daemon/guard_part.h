// SPDX-License-Identifier: Apache-2.0
// trap-guard's daemon: loads and fills the BPF program, renews clock and keys, corrects counts,
// watches what the operator should know.
#pragma once

#include <memory>
#include <set>

#include "dataplane/packet.h"
#include "guard/daemon/enforcement.h"
#include "guard/daemon/maps/guard_maps.h"
#include "guard/daemon/suspects.h"
#include "guard/daemon/tables.h"
#include "protocol/clock.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/counters.h"
#include "runtime/kernel/program.h"
#include "runtime/kernel/xdp.h"
#include "runtime/keys/key_file.h"
#include "runtime/net/ssh_connection.h"
#include "runtime/process/part.h"

struct ring_buffer;
struct trap_guard;

namespace trap::guard {

class GuardPart final : public Part {
public:
  explicit GuardPart(GuardConfig config);
  ~GuardPart() override;

  const PartConfig& config() const override { return config_.part; }
  Result<void> read_keys() override;
  std::vector<std::string> warnings() override;
  Result<void> start(Undo& undo) override;
  Result<void> detach() override;
  void tick() override;
  Result<std::string> reload() override;
  Result<std::string> command(const std::vector<std::string>& words) override;
  Result<std::string> explain(const ExplainRequest& request) override;
  void measure(Metrics& metrics) override;
  std::string parting_words() override;
  int event_fd() const override;
  void handle_events() override;
  void describe(nlohmann::ordered_json& status, std::vector<std::string>& problems) override;

private:
  Result<void> load(Undo& undo);
  Result<void> map_tables();
  void begin_mode();
  void prepare(trap_guard& skeleton) const;
  Result<void> load_twin();
  std::vector<std::string> reasons_of(const ExplainRequest& request, const trap_packet& packet);
  void publish_settings();

  // guard_watch.cpp
  void watch_mode(std::uint64_t monotonic_ns);
  void watch_keys(std::uint64_t unix_ns);
  void watch_clocks();
  void correct_counts(std::uint64_t monotonic_ns);
  std::vector<std::string> lockouts(const GuardConfig& config,
                                    const std::optional<SshConnection>& ssh);
  void log_warnings();

  // guard_commands.cpp, guard_metrics.cpp, guard_status.cpp
  Result<std::string> command_enforce(const std::vector<std::string>& words);
  void measure_trap_servers(Metrics& metrics);
  nlohmann::ordered_json enforcement_json();
  nlohmann::ordered_json services_json(VerdictCounts& counted, VerdictCounts& monitored);
  nlohmann::ordered_json trap_servers_json();
  std::string name_of_slot(std::uint32_t slot) const;

  GuardConfig config_;
  GuardKey key_;
  Fd pin_dir_;
  Program<trap_guard> program_;
  Program<trap_guard> twin_; // loaded for the first packet that is to be explained
  MappedValue<trap_guard_settings> settings_;
  MappedArray<trap_flow_bucket> flows_;
  MappedArray<trap_announced_bucket> announced_;
  MapFds fds_;
  PortSlots slots_;
  XdpAttachments attachments_;

  ring_buffer* suspects_buffer_ = nullptr;
  Suspects suspects_;
  Enforcement enforcement_;   // as it was at the last look
  bool ran_out_ = false;      // the last trial of enforcing, since nobody confirmed it
  bool keys_scarce_ = false;  // and said so
  std::set<std::string> off_; // TRAP servers whose clock was said to be far off
  std::uint64_t clients_ = 0;
  std::uint64_t next_correction_ns_ = 0;
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

} // namespace trap::guard
