// SPDX-License-Identifier: Apache-2.0
// The tries of map `policies`: always made anew and filled before a program sees them.
#pragma once

#include "runtime/fd.h"
#include "server/daemon/plan/map_contents.h"

namespace trap::server {

// A filled trie that no program uses yet.
Result<Fd> make_policy_trie(const ServicePolicies& policies);

} // namespace trap::server
