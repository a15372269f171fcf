// SPDX-License-Identifier: Apache-2.0
// The tries of map `policies`. Each is made anew and filled before a program sees it.
#pragma once

#include "runtime/fd.h"
#include "runtime/kernel/map_store.h"
#include "server/daemon/state/map_contents.h"

namespace trap::server {

// A filled trie that no program uses yet.
Result<Fd> make_policy_trie(const ServicePolicies& policies, MapStore& store);

} // namespace trap::server
