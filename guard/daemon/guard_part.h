// SPDX-License-Identifier: Apache-2.0
// trap-guard's daemon: loads and fills the BPF program, renews clock and keys.
#ifndef TRAP_GUARD_DAEMON_GUARD_PART_H
#define TRAP_GUARD_DAEMON_GUARD_PART_H

#include <memory>

#include "guard/daemon/guard_maps.h"
#include "runtime/bpf_map.h"
#include "runtime/key_file.h"
#include "runtime/part.h"
#include "runtime/xdp.h"

struct trap_guard;

namespace trap::guard {

class GuardPart final : public Part {
public:
  explicit GuardPart(GuardConfig config);
  ~GuardPart() override;

  const PartConfig& config() const override { return config_.part; }
  Result<void> read_keys() override;
  Result<void> start(Undo& undo) override;
  Result<void> detach() override;
  void tick() override;
  Result<std::string> reload() override;
  void measure(Metrics& metrics) override;
  void describe(nlohmann::ordered_json& status, std::vector<std::string>& problems) override;

private:
  Result<void> load(Undo& undo);
  Result<void> apply(const GuardConfig& config, const PortSlots& slots, const PortSlots& earlier);
  void publish_settings();
  void rotate_keys(std::uint64_t epoch);

  GuardConfig config_;
  GuardKey key_;
  Fd pin_dir_;
  trap_guard* skeleton_ = nullptr;
  MappedValue<trap_guard_settings> settings_;
  MapFds fds_;
  PortSlots slots_;
  XdpAttachments attachments_;
};

Result<std::unique_ptr<Part>> read_part(const std::string& config_path);

} // namespace trap::guard

#endif
