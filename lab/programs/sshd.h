// SPDX-License-Identifier: Apache-2.0
// A real sshd on a lab host, with host keys and a user key made for the occasion, and a real ssh
// that logs in.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "lab/hosts/host.h"
#include "lab/hosts/process.h"
#include "runtime/result.h"

namespace trap::lab {

class Sshd {
public:
  // Starts it on all addresses of the host and waits until it accepts connections.
  static Result<Sshd> start(const Host& host, int port);
  Sshd(Sshd&& other) noexcept;
  Sshd& operator=(Sshd&&) = delete;
  ~Sshd();

  // Logs in as root from another host, at an address behind which this sshd is said to be; runs
  // `command`.
  [[nodiscard]] Result<Finished> login(const Host& from, std::string_view address,
                                       const std::string& command) const;

private:
  Sshd(std::filesystem::path directory, int port, bool made_chroot, Process process)
      : directory_(std::move(directory)), port_(port), made_chroot_(made_chroot),
        process_(std::move(process)) {}
  std::filesystem::path directory_;
  int port_;
  bool made_chroot_;
  Process process_;
};

} // namespace trap::lab
