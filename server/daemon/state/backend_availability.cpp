// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/state/backend_availability.h"

#include <set>

namespace trap::server {

void BackendAvailability::follow(const ServerConfig& config) {
  std::set<OrderKey> there;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends)
      there.emplace(service.name, backend.endpoint);
  }
  std::erase_if(orders_, [&](const auto& order) { return !there.contains(order.first); });
  watch(config);
}

// A backend of several services is checked as the first of them wants it.
void BackendAvailability::watch(const ServerConfig& config) {
  std::map<Endpoint, HealthSettings> wanted;
  HealthWay way;
  way.sources = config.health_source;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends) {
      if (service.checks_health && backend.state != BackendState::down)
        wanted.emplace(backend.endpoint, service.health);
      if (backend.guard_address)
        way.reached_at.emplace(backend.endpoint, backend.reached_at());
    }
  }
  health_.watch(wanted, std::move(way));
}

void BackendAvailability::order(const std::string& service, const Endpoint& backend,
                                BackendState state) {
  orders_[{service, backend}] = state;
}

BackendState BackendAvailability::state(const ServiceConfig& service,
                                        const BackendConfig& backend) const {
  auto at = orders_.find({service.name, backend.endpoint});
  return at == orders_.end() ? backend.state : at->second;
}

const char* BackendAvailability::health(const ServiceConfig& service,
                                        const BackendConfig& backend) const {
  return service.checks_health ? health_name(health_.health(backend.endpoint)) : "off";
}

bool BackendAvailability::is_usable(const ServiceConfig& service,
                                    const BackendConfig& backend) const {
  if (state(service, backend) != BackendState::active)
    return false;
  return !service.checks_health || health_.health(backend.endpoint) != Health::down;
}

bool BackendAvailability::depends_on_announcing(const Endpoint& backend, const trap_address& source,
                                                std::uint8_t scope) const {
  const auto own = health_.source(backend);
  if (!own)
    return true; // not known yet
  const trap_family family = family_of(source);
  const trap_address announced = trap_address_mask(source, family, scope);
  const trap_address checking = trap_address_mask(*own, family, scope);
  return trap_address_equal(&announced, &checking) && health_.health(backend) != Health::up;
}

std::vector<Candidate> BackendAvailability::candidates(const ServiceConfig& service,
                                                       const PlannedPool& pool) const {
  std::vector<Candidate> candidates;
  for (const PoolMember& member : pool.members) {
    if (is_usable(service, *member.backend))
      candidates.push_back({member.backend->endpoint, member.backend->weight, member.index});
  }
  return candidates;
}

double BackendAvailability::share(const ServiceConfig& service, const PlannedPool& pool,
                                  const PoolMember& member) const {
  double own = 0;
  double sum = 0;
  for (const Candidate& candidate : candidates(service, pool)) {
    sum += candidate.weight;
    if (candidate.index == member.index)
      own += candidate.weight;
  }
  return sum > 0 ? own / sum : 0;
}

} // namespace trap::server
