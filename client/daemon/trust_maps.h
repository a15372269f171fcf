// SPDX-License-Identifier: Apache-2.0
// The configuration's trusts in the maps that the programs ask (client/bpf/trust.bpf.h), and what
// they answer.
#pragma once

#include <vector>

#include "client/daemon/client_config.h"
#include "client/maps.h"
#include "runtime/config/endpoint.h"
#include "runtime/result.h"

namespace trap::client {

struct TrustFds {
  int services = -1;
  int targets = -1;
};

// Makes the maps those of `trusts`. A service that was and stays named is never without its old or
// its new targets.
Result<void> write_trusts(const TrustFds& fds, const std::vector<Trust>& trusts);

// As the programs do: the number of the trust that names the service, 0 if none does; and whether
// redirects may lead there.
__u32 trust_of(const TrustFds& fds, const Endpoint& service);
bool may_redirect(const TrustFds& fds, __u32 settings_flags, const Endpoint& service,
                  const Endpoint& target);

} // namespace trap::client
