// SPDX-License-Identifier: Apache-2.0
// trap-server's daemon: loads and fills the BPF program, renews clock and keys, announces clients to guards.
#ifndef TRAP_SERVER_DAEMON_SERVER_PART_H
#define TRAP_SERVER_DAEMON_SERVER_PART_H

#include <memory>
#include <optional>

#include "runtime/bpf_map.h"
#include "runtime/part.h"
#include "runtime/xdp.h"
#include "server/daemon/announcer.h"
#include "server/daemon/server_maps.h"

struct trap_server;

namespace trap::server {

class ServerPart final : public Part {
public:
  explicit ServerPart(ServerConfig config);
  ~ServerPart() override;

  const PartConfig& config() const override { return config_.part; }
  bool needs_raw_sockets() const override { return true; }
  Result<void> read_keys() override;
  Result<void> start(Undo& undo) override;
  Result<void> detach() override;
  void tick() override;
  int event_fd() const override;
  void handle_events() override;
  void describe(nlohmann::ordered_json& status, std::vector<std::string>& problems) override;

private:
  Result<void> load(Undo& undo);
  Result<void> plan_maps();
  void publish_settings();
  void renew_keys(std::uint64_t epoch);

  ServerConfig config_;
  Secret master_;
  Fd pin_dir_;
  trap_server* skeleton_ = nullptr;
  MappedValue<trap_server_settings> settings_;
  std::optional<ServerMaps> maps_;
  EarlierMaps earlier_;
  ServerPlan plan_;
  std::unique_ptr<Announcer> announcer_;
  XdpAttachments attachments_;
  std::uint64_t epoch_ = 0; // for which the keys were last renewed
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

} // namespace trap::server

#endif
