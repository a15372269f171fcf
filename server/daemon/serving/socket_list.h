// SPDX-License-Identifier: Apache-2.0
// The TCP connections that this host's stack has, half open and closing ones included, as
// sock_diag(7) lists them; read in turns, because there may be a million.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "protocol/address.h"
#include "runtime/fd.h"

namespace trap::server {

// IPv4 as ::ffff:a.b.c.d, also in a socket of both families.
struct HostConnection {
  trap_address remote;
  __be16 remote_port = 0;
  __be16 local_port = 0;
};

class SocketList {
public:
  using Visit = std::function<void(const HostConnection&)>;

  // Starts a new list, whatever became of the last one. `port`: of this local port only; 0: of all.
  Result<void> begin(std::uint16_t port);

  // Goes on until the list is whole (true), or `most` connections or a few more were visited
  // (false). What comes or goes meanwhile may be in it or not; very rarely one that was there all
  // the time is not: the kernel finds its place in a hash chain again by counting.
  Result<bool> advance(std::size_t most, const Visit& visit);

private:
  Result<void> ask();

  Fd socket_;
  std::vector<char> buffer_;
  std::uint16_t port_ = 0;
  int family_ = 0;
};

} // namespace trap::server
