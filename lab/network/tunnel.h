// SPDX-License-Identifier: Apache-2.0
// A tunnel between two lab hosts: a tun interface at each end, whose packets have no link layer,
// and a thread that carries them across, at once or after a while.
#pragma once

#include <chrono>
#include <string>
#include <thread>

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

struct TunnelEnd {
  const Host* host;
  std::string interface;
};

// A new tun interface, without addresses and down; it goes with the descriptor.
Result<Fd> open_tun(const Host& host, const std::string& interface);

class Tunnel {
public:
  // Makes both interfaces, without addresses and down. They go with the tunnel. `delay`: of each
  // packet.
  static Result<Tunnel> dig(const TunnelEnd& one, const TunnelEnd& other,
                            std::chrono::milliseconds delay = {});

private:
  Tunnel(Fd one, Fd other, std::chrono::milliseconds delay);
  Fd one_, other_;
  std::jthread carrier_; // ends before the descriptors close
};

} // namespace trap::lab
