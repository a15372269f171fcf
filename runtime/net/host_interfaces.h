// SPDX-License-Identifier: Apache-2.0
// The host's network interfaces, listed through rtnetlink, and a descriptor that tells when one of
// them changes.
#pragma once

#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap {

struct HostInterface {
  std::string name;
  unsigned index = 0;
  unsigned short type = 0; // ARPHRD_*
  bool is_up = false;
  bool is_loopback = false;
  std::string kind{};     // "bridge", "veth", ...; empty: none that it tells
  unsigned lower = 0;     // index of the interface that a VLAN is of; 0: none in this namespace
  unsigned master = 0;    // index of the bridge, bond or VRF that takes its packets; 0: none
  std::string slave_of{}; // kind of the master
};

Result<std::vector<HostInterface>> list_interfaces();

class InterfaceWatch {
public:
  InterfaceWatch() = default;
  static Result<InterfaceWatch> make();

  // Readable when an interface or an address came, went or changed since the last drain(). Look at
  // list_interfaces() after that.
  int fd() const { return socket_.get(); }

  // True if there was something.
  bool drain();

  // Makes an epoll descriptor readable when fd() is.
  Result<void> join(int epoll_fd) const;

private:
  Fd socket_;
};

} // namespace trap
