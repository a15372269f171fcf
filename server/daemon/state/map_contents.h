// SPDX-License-Identifier: Apache-2.0
// The contents of the maps for a plan at one moment: the backends that each pool names, the
// behaviour of each service, the ends of its policies.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "server/daemon/plan/server_plan.h"
#include "server/daemon/state/answering.h"
#include "server/daemon/state/backend_availability.h"

namespace trap::server {

// A service's policies with what each rule leads to now.
struct ServicePolicies {
  std::shared_ptr<const PolicyConfig> config; // null: no policy for clients of the address's family
  std::vector<trap_policy> rules;             // by index of the rule
  trap_family family = TRAP_IPV4;             // entries of the other one do not matter

  bool same_as(const ServicePolicies& other) const;
};

struct MapContents {
  std::map<std::uint32_t, std::vector<Candidate>> pools; // by index
  std::map<std::uint32_t, trap_service> services;        // by slot
  std::map<std::uint32_t, ServicePolicies> policies;     // by slot; those without are not there
};

// `usable`: whether a backend of the default pool may be named.
trap_service service_value(const PlannedService& planned, const ServiceState& service,
                           const HostState& host, bool usable);

// Nothing if the service has none for the family of its address.
std::optional<ServicePolicies> service_policies(const PlannedService& planned,
                                                const BackendAvailability& backends);

// Everything that the maps hold for `plan`, given the state of each service.
MapContents make_contents(const ServerPlan& plan, const BackendAvailability& backends,
                          const HostState& host,
                          const std::function<ServiceState(const PlannedService&)>& state_of);

} // namespace trap::server
