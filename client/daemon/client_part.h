// SPDX-License-Identifier: Apache-2.0
// trap-client's daemon: loads the two BPF programs, attaches them to the interfaces and tells what they learnt.
#ifndef TRAP_CLIENT_DAEMON_CLIENT_PART_H
#define TRAP_CLIENT_DAEMON_CLIENT_PART_H

#include <memory>

#include "client/daemon/client_config.h"
#include "client/maps.h"
#include "dataplane/packet.h"
#include "runtime/bpf_map.h"
#include "runtime/fd.h"
#include "runtime/part.h"
#include "runtime/tc_filter.h"

struct trap_client;

namespace trap::client {

class ClientPart final : public Part {
public:
  explicit ClientPart(ClientConfig config);
  ~ClientPart() override;

  const PartConfig& config() const override { return config_.part; }
  Result<void> start(Undo& undo) override;
  Result<void> detach() override;
  void tick() override;
  Result<std::string> reload() override;
  Result<std::string> explain(const ExplainRequest& request) override;
  Result<std::string> command(const std::vector<std::string>& words) override;
  void measure(Metrics& metrics) override;
  void describe(nlohmann::ordered_json& status, std::vector<std::string>& problems) override;

private:
  struct Program {
    TcHook hook;
    int fd = -1; // the skeleton owns it
    __u32 id = 0;
    Fd earlier; // of an earlier run, from its pin
    std::string pin_path;
  };

  Result<void> load(Undo& undo);
  Result<void> load_twin();
  std::vector<std::string> reasons_of(const ExplainRequest& request, const trap_packet& packet) const;
  Result<void> attach(const std::string& interface, unsigned index, Undo& undo);
  Result<void> pin_programs(Undo& undo);
  unsigned detach_elsewhere(const std::vector<std::string>& keep);
  void open_earlier_programs();
  void publish_settings();

  ClientConfig config_;
  Fd pin_dir_;
  trap_client* skeleton_ = nullptr;
  trap_client* twin_ = nullptr; // that explains; loaded when it is first asked
  MappedValue<trap_client_settings> settings_;
  Program programs_[2];
  int redirects_fd_ = -1;
  int fallbacks_fd_ = -1;
  int to_backend_fd_ = -1;
  std::uint64_t redirects_flushed_ = 0;
  int counters_fd_ = -1;
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

} // namespace trap::client

#endif
