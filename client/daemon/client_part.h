// SPDX-License-Identifier: Apache-2.0
// trap-client's daemon: loads the two BPF programs, attaches them to the interfaces and tells what
// they learnt.
#pragma once

#include <memory>
#include <set>

#include "client/daemon/attachments.h"
#include "client/daemon/client_config.h"
#include "client/daemon/interface_plan.h"
#include "client/daemon/maps/client_maps.h"
#include "client/daemon/renewer.h"
#include "client/maps.h"
#include "dataplane/packet.h"
#include "runtime/fd.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/program.h"
#include "runtime/net/links.h"
#include "runtime/process/part.h"

struct trap_client;

namespace trap::client {

class ClientPart final : public Part {
public:
  explicit ClientPart(ClientConfig config);
  ~ClientPart() override;

  const PartConfig& config() const override { return config_.part; }
  bool needs_raw_sockets() const override { return config_.renew; }
  Result<void> start(Undo& undo) override;
  Result<void> detach() override;
  void tick() override;
  int event_fd() const override { return links_.fd(); }
  void handle_events() override;
  Result<std::string> reload() override;
  Result<std::string> explain(const ExplainRequest& request) override;
  Result<std::string> command(const std::vector<std::string>& words) override;
  void measure(Metrics& metrics) override;
  void describe(nlohmann::ordered_json& status, std::vector<std::string>& problems) override;

private:
  Result<void> load(Undo& undo);
  void prepare(trap_client& skeleton) const;
  Result<void> load_twin();
  std::vector<std::string> reasons_of(const ExplainRequest& request,
                                      const trap_packet& packet) const;
  Result<void> attach_at_start(Undo& undo);
  void follow_interfaces();
  void attach_late(const PlannedInterface& interface);
  nlohmann::ordered_json interfaces_json(std::vector<std::string>& problems) const;
  Result<std::size_t> drop_forbidden_redirects();

  ClientConfig config_;
  Fd pin_dir_;
  Program<trap_client> program_;
  Program<trap_client> twin_; // loaded for the first packet that is to be explained
  MappedValue<trap_client_settings> settings_;
  Attachments attachments_;
  LinkWatch links_;
  InterfacePlan plan_;
  std::set<std::string> refused_; // interfaces whose filters could not be attached: said once
  TrustFds trust_fds_;
  Renewer renewer_;
  int redirects_fd_ = -1;
  int fallbacks_fd_ = -1;
  int pending_fd_ = -1;
  int to_backend_fd_ = -1;
  std::uint64_t redirects_flushed_ = 0;
  int counters_fd_ = -1;
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

} // namespace trap::client
