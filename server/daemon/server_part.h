// SPDX-License-Identifier: Apache-2.0
// trap-server's daemon: loads and fills the BPF program, keeps it to what is configured and to what
// happens, announces clients to guards.
#pragma once

#include <memory>
#include <optional>

#include "dataplane/packet.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/explainer.h"
#include "runtime/kernel/program.h"
#include "runtime/kernel/xdp.h"
#include "runtime/process/part.h"
#include "server/daemon/announce/announcer.h"
#include "server/daemon/maps/server_maps.h"
#include "server/daemon/plan/deployment.h"
#include "server/daemon/serving/assigner.h"
#include "server/daemon/serving/connection_filter.h"
#include "server/daemon/watch/problem_log.h"
#include "server/daemon/watch/runtime_state.h"

struct trap_server;

namespace trap::server {

class ServerPart final : public Part {
public:
  explicit ServerPart(ServerConfig config);
  ~ServerPart() override;

  const PartConfig& config() const override { return now_->config.part; }
  bool needs_raw_sockets() const override { return true; }
  Result<void> read_keys() override;
  Result<void> start(Undo& undo) override;
  Result<void> detach() override;
  unsigned tick_ms() const override { return 200; }
  void tick() override;
  Result<std::string> reload() override;
  Result<std::string> command(const std::vector<std::string>& words) override;
  void measure(Metrics& metrics) override;
  Result<std::string> explain(const ExplainRequest& request) override;
  int event_fd() const override;
  void handle_events() override;
  void describe(nlohmann::ordered_json& status, std::vector<std::string>& problems) override;

private:
  Result<void> load(Undo& undo);
  Result<void> open_maps();
  Result<void> fill_maps(const EarlierMaps& earlier);
  void renew_keys(std::uint64_t epoch);
  void tick_second();
  void refresh_maps();
  std::vector<std::string> find_problems() const;

  void prepare(trap_server& skeleton) const;
  Result<void> load_twin();
  std::string limit_of(trap_verdict verdict, const ServiceConfig& service) const;
  std::vector<std::string> reasons_of(const Explained& explained, const PlannedService& planned,
                                      const trap_packet& packet) const;

  Result<std::unique_ptr<Deployment>> read_next() const;
  Result<void> apply(const Deployment& next);

  std::unique_ptr<Deployment> now_; // never null
  Fd pin_dir_;
  Program<trap_server> program_;
  Program<trap_server> twin_; // loaded for the first packet that is to be explained
  MappedValue<trap_server_settings> settings_;
  MappedValue<KnownWords> known_words_;
  std::optional<KnownConnections> known_;
  std::optional<ServerMaps> maps_;
  RuntimeState runtime_state_;
  std::unique_ptr<Announcer> announcer_;
  XdpAttachments attachments_;
  Assigner assigner_;
  ProblemLog problem_log_;
  std::string maps_problem_;    // why the maps could not be refreshed, until they are
  std::uint64_t epoch_ = 0;     // for which the keys were last renewed
  std::uint64_t second_ns_ = 0; // when tick_second() ran last
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

} // namespace trap::server
