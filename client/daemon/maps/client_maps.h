// SPDX-License-Identifier: Apache-2.0
// The policy of trap-client's configuration in the maps that the programs ask
// (client/bpf/trust.bpf.h), and the answers that they get. Needs only descriptors of maps: daemon,
// tests and benchmarks share it.
#pragma once

#include "client/daemon/config/client_config.h"
#include "client/maps.h"
#include "runtime/config/endpoint.h"
#include "runtime/kernel/map_store.h"
#include "runtime/net/host_networks.h"
#include "runtime/result.h"

namespace trap::client {

struct TrustFds {
  int services = -1;
  int targets = -1;
};

// Makes the maps those of the configuration. Every service has its old or its new targets at every
// step, or if no [[trust]] names it, the old or the new policy for such services. After an error
// part of the change is in the maps.
Result<void> write_policy(const TrustFds& fds, trap_client_settings& settings,
                          const ClientConfig& config, MapStore& store = kernel_maps());

// Makes the map `links` these. None, or more than fit: the links are not known, and every address
// may be on one. An address of a link that stays is found at every step.
Result<void> write_links(int links_fd, const std::vector<LinkPrefix>& links,
                         MapStore& store = kernel_maps());

// The programs' answers: the number of the trust that names the service, 0 if none does; and
// whether redirects may lead to `target`.
__u32 trust_of(const TrustFds& fds, const Endpoint& service, MapStore& store = kernel_maps());
bool may_redirect(const TrustFds& fds, const trap_client_settings& settings,
                  const Endpoint& service, const Endpoint& target, MapStore& store = kernel_maps());

} // namespace trap::client
