// SPDX-License-Identifier: Apache-2.0
// Looks at the sockets that listen at the addresses of services, with the kernel's eyes: MPTCP and
// signatures are in no answer to a SYN.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/config/endpoint.h"
#include "runtime/kernel/program.h"
#include "server/daemon/serving/listener_facts.h"

struct trap_listener;

namespace trap::server {

class ListenerInspector {
public:
  ListenerInspector();
  ~ListenerInspector();
  ListenerInspector(const ListenerInspector&) = delete;
  ListenerInspector& operator=(const ListenerInspector&) = delete;

  // Without it nothing is known of any listener.
  Result<void> load();

  // The facts about those of them at which something listens. `interface`: through which clients
  // come, by name; a listener may be bound to it.
  std::map<Endpoint, ListenerFacts> look_at(const std::vector<Endpoint>& listeners,
                                            const std::string& interface) const;

private:
  Program<trap_listener> program_;
};

} // namespace trap::server
