// SPDX-License-Identifier: Apache-2.0
// The TCP ports at which this network namespace listens, from /proc/net/tcp and tcp6.
#pragma once

#include <string>
#include <vector>

#include "runtime/config/endpoint.h"

namespace trap::ctl {

class Listeners {
public:
  // Adds the listeners of a table as the kernel prints it.
  void add(const std::string& table);

  bool at_port(std::uint16_t port) const;
  // At the address itself, or at all addresses of its family, or at all of both.
  bool at(const Endpoint& endpoint) const;

private:
  std::vector<Endpoint> listeners_;
};

Listeners read_listeners();

} // namespace trap::ctl
