// SPDX-License-Identifier: Apache-2.0
// Looks at the sockets of services, with the kernel's eyes: MPTCP and signatures are in no answer
// to a SYN, and only the stack knows whether a handshake became a connection.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/config/endpoint.h"
#include "runtime/kernel/program.h"
#include "server/daemon/serving/listener_facts.h"

struct trap_listener;

namespace trap::server {

enum class Arrival {
  arrived, // the stack has the connection
  lost,    // it has not, although a listener has room for it
  unknown,
};

struct SeenListener {
  ListenerFacts facts;
  QueueSight queue;
};

class ListenerInspector {
public:
  ListenerInspector();
  ~ListenerInspector();
  ListenerInspector(const ListenerInspector&) = delete;
  ListenerInspector& operator=(const ListenerInspector&) = delete;

  // Without it nothing is known of any listener.
  Result<void> load();

  // Those of them at which something listens. `interface`: through which clients come, by name; a
  // listener may be bound to it.
  std::map<Endpoint, SeenListener> look_at(const std::vector<Endpoint>& listeners,
                                           const std::string& interface) const;

  // The fate of a handshake of `client` with the service at `address`.
  Arrival arrival(const Endpoint& client, const Endpoint& address, unsigned interface_index) const;

private:
  Program<trap_listener> program_;
};

} // namespace trap::server
