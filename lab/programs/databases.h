// SPDX-License-Identifier: Apache-2.0
// A real Redis and a real PostgreSQL on a lab host, with nothing of theirs outside a directory of
// their own.
#pragma once

#include <filesystem>

#include "lab/hosts/host.h"
#include "lab/hosts/process.h"
#include "runtime/result.h"

namespace trap::lab {

// Starts it on all addresses of the host, for anybody, without a file; ready when it accepts
// connections.
Result<Process> start_redis(const Host& host, int port);

// A new cluster each time. It refuses to run as root, so it runs as Debian's user "postgres", in a
// directory that this user can reach.
class Postgres {
public:
  static Result<Postgres> start(const Host& host, int port);
  Postgres(Postgres&& other) noexcept;
  Postgres& operator=(Postgres&&) = delete;
  ~Postgres(); // stops it and removes the cluster

private:
  Postgres(std::filesystem::path directory, Process process)
      : directory_(std::move(directory)), process_(std::move(process)) {}
  std::filesystem::path directory_;
  Process process_;
};

} // namespace trap::lab
