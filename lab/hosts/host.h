// SPDX-License-Identifier: Apache-2.0
// One host of the lab: a network namespace called trap-lab-NAME and a directory /run/trap-lab/NAME
// with a BPF file system of its own. Creating and removing; what connects the hosts is topology.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/hosts/process.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

inline constexpr std::string_view namespace_prefix = "trap-lab-";
inline constexpr std::string_view lab_directory = "/run/trap-lab";

class Host {
public:
  // Makes the namespace, with loopback up, reverse-path filters and duplicate address detection
  // off.
  static Result<Host> create(std::string_view name);

  // A host that another trap-lab keeps up.
  static Result<Host> open(std::string_view name);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string namespace_name() const { return std::string{namespace_prefix} + name_; }
  [[nodiscard]] std::filesystem::path directory() const {
    return std::filesystem::path{lab_directory} / name_;
  }
  [[nodiscard]] std::filesystem::path bpf_directory() const { return directory() / "bpf"; }
  [[nodiscard]] int descriptor() const { return namespace_.get(); }

  // A command that runs in this host.
  [[nodiscard]] Command command(std::vector<std::string> arguments) const;

  // Runs `ip` with one command a line; stops at the first that fails. `rule` needs to be told "-6".
  [[nodiscard]] Result<void> ip(const std::string& lines, const std::string& family = {}) const;

  // Sets one entry below /proc/sys/net, such as "ipv4/tcp_syncookies".
  [[nodiscard]] Result<void> set(std::string_view sysctl, std::string_view value) const;

  // Packets that this host's interface has received (with those an XDP program dropped or
  // answered).
  [[nodiscard]] Result<std::uint64_t> received_packets(std::string_view interface = "eth0") const;

private:
  std::string name_;
  Fd namespace_;
};

// Moves the calling thread into a host's network namespace for as long as it lives.
class InHost {
public:
  explicit InHost(const Host& host);
  ~InHost();
  InHost(const InHost&) = delete;
  InHost& operator=(const InHost&) = delete;
  [[nodiscard]] bool entered() const { return entered_; }

private:
  Fd home_;
  bool entered_ = false;
};

// Key files of a deployment: on the TRAP host, and on a service host.
std::string master_key_file();
std::string guard_key_file(std::string_view host);

// Kills what runs in every namespace of the lab, removes the namespaces, the mounts and
// /run/trap-lab. Returns how many namespaces there were. Safe to call when there is nothing.
int remove_all_hosts();

} // namespace trap::lab
