// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/state/map_contents.h"

#include <algorithm>

#include "runtime/config/token_rate.h"

namespace trap::server {
namespace {

constexpr unsigned window_max = 65535;
constexpr unsigned timestamp_bytes = 12; // of each segment
// Over loopback a listener rounds the window of usual sockets, 65536, down to one segment, which is
// less by a header.
constexpr unsigned usual_space = 65536, loopback_rounding = 100;
constexpr unsigned window_default = 64240;
constexpr unsigned scale_default = 7;    // Linux with its default of net.ipv4.tcp_rmem
constexpr unsigned v4_header_bytes = 40; // IP and TCP, without options
constexpr unsigned v6_header_bytes = 60;
constexpr unsigned mss_least = 536; // RFC 9293 3.7.1
constexpr unsigned mss_most = 65535;

__be16 mss_of(const Endpoint& address, const HostState& host) {
  const bool is_v4 = family_of(address.address) == TRAP_IPV4;
  const unsigned headers = is_v4 ? v4_header_bytes : v6_header_bytes;
  const unsigned of_route = (is_v4 ? host.routes.ipv4 : host.routes.ipv6).mss;
  const unsigned of_link = host.mtu > headers ? host.mtu - headers : 0;
  return TRAP_BE16(
      std::clamp(of_route != 0 ? std::min(of_route, of_link) : of_link, mss_least, mss_most));
}

// Does the stack understand what the SYN-ACK's timestamp says?
bool reads_timestamps(const HostState& host, Answerer answerer) {
  return answerer == Answerer::own_cookies ? host.settings.tcp_timestamps > 0
                                           : host.settings.tcp_timestamps == 2;
}

// Flags of a service whose clients are served.
__u32 serving_flags(const ServiceConfig& config, const ServiceState& service, const HostState& host,
                    Answerer answerer) {
  __u32 flags = TRAP_SERVICE_SERVES | TRAP_SERVICE_SOCKETS;
  const bool assigns = answerer == Answerer::own_cookies;
  if (assigns)
    flags |= TRAP_SERVICE_ASSIGNS;
  if (assigns && (config.activate == Activate::attack || service.was_left))
    flags |= TRAP_SERVICE_STACK_COOKIES;
  if (answerer == Answerer::stack)
    flags |= TRAP_SERVICE_RESTS | TRAP_SERVICE_LEFT;
  if (service.rests)
    flags |= TRAP_SERVICE_RESTS;
  const bool timestamps = reads_timestamps(host, answerer);
  if (timestamps)
    flags |= TRAP_SERVICE_TIMESTAMPS;
  else if (!assigns)
    return flags; // only TRAP's own cookies can say a client's options themselves
  if (timestamps && host.settings.tcp_ecn > 0)
    flags |= TRAP_SERVICE_ECN;
  const bool answers = service.listener && service.listener->answers;
  if (host.settings.tcp_sack > 0)
    flags |= TRAP_SERVICE_SACK;
  if (host.settings.tcp_window_scaling > 0 && (!answers || service.listener->window_scale >= 0))
    flags |= TRAP_SERVICE_SCALES;
  return flags;
}

// As Linux has it: whole segments, where the space holds one.
__be16 window_of(unsigned of_probe, unsigned segment_bytes) {
  const bool is_usual = of_probe < window_max && of_probe + loopback_rounding >= usual_space;
  unsigned space = is_usual ? usual_space : of_probe;
  if (of_probe < window_max && space > segment_bytes)
    space -= space % segment_bytes;
  return TRAP_BE16(std::min(space, window_max));
}

// The route's before the socket's, as the stack looks at them only where a socket has none: but a
// socket's own cannot be told from the host's where they are the same.
__u8 hop_limit_of(const Endpoint& address, const ServiceState& service, const HostState& host) {
  const bool is_v4 = family_of(address.address) == TRAP_IPV4;
  const int of_host = is_v4 ? host.hop_limits.ipv4 : host.hop_limits.ipv6;
  const int over_loopback = is_v4 ? host.hop_limits.ipv4 : host.hop_limits.loopback_ipv6;
  const int of_listener =
      service.listener && service.listener->answers ? service.listener->hop_limit : -1;
  const unsigned of_route = (is_v4 ? host.routes.ipv4 : host.routes.ipv6).hops;
  int hops = of_host;
  if (of_listener > 0 && over_loopback > 0 && of_listener != over_loopback)
    hops = of_listener;
  else if (of_route != 0)
    hops = static_cast<int>(of_route);
  return static_cast<__u8>(hops > 0 && hops < 256 ? hops : 0);
}

void set_listener_values(trap_service& value, const PlannedService& planned,
                         const ServiceState& service, const HostState& host) {
  value.mss = mss_of(planned.address, host);
  value.window = service.earlier.window ? service.earlier.window : TRAP_BE16(window_default);
  value.plain_window = service.earlier.plain_window;
  value.window_scale = service.earlier.window ? service.earlier.window_scale : scale_default;
  if (!service.listener || !service.listener->answers)
    return;
  if (service.listener->mss != 0) // less than the way's if the application has set TCP_MAXSEG
    value.mss = TRAP_BE16(
        std::clamp<unsigned>(service.listener->mss, mss_least, TRAP_FROM_BE16(value.mss)));
  if (service.listener->traffic_class > 0)
    value.traffic_class = static_cast<__u8>(service.listener->traffic_class);
  const unsigned mss = TRAP_FROM_BE16(value.mss);
  if (service.listener->window != 0) {
    value.window = window_of(service.listener->window, mss - timestamp_bytes);
    value.plain_window = window_of(service.listener->window, mss);
  }
  value.window_scale = static_cast<__u8>(std::max(0, service.listener->window_scale));
}

// More SYNs than make an attack are answered before the daemon has noticed.
__u32 peace_token_ns(const ActivationSettings& settings) {
  return static_cast<__u32>(std::clamp(1e9 / settings.syns_per_s, 1.0, 1e9));
}

// A pool whose backends are all gone is served, if the service is to be served then.
trap_policy policy_value(const PolicyRule& rule, const PlannedService& planned,
                         const BackendAvailability& backends) {
  switch (rule.action) {
  case PolicyAction::deny:
    return {TRAP_POLICY_DENY, 0};
  case PolicyAction::serve:
    return {TRAP_POLICY_SERVE, 0};
  case PolicyAction::pool:
    break;
  }
  const PlannedPool* pool = planned.pool(rule.pool, rule.own_tag());
  if (!pool) // for the other family's clients only
    return {TRAP_POLICY_DENY, 0};
  const bool is_down = backends.candidates(*planned.service, *pool).empty();
  const bool serves = is_down && planned.service->when_down == WhenDown::serve;
  return {serves ? static_cast<__u32>(TRAP_POLICY_SERVE) : static_cast<__u32>(TRAP_POLICY_POOL),
          pool->index};
}

} // namespace

bool ServicePolicies::same_as(const ServicePolicies& other) const {
  auto same_rule = [](const trap_policy& a, const trap_policy& b) {
    return a.action == b.action && a.pool == b.pool;
  };
  return family == other.family &&
         std::equal(rules.begin(), rules.end(), other.rules.begin(), other.rules.end(),
                    same_rule) &&
         (config == other.config || config->entries == other.config->entries);
}

trap_service service_value(const PlannedService& planned, const ServiceState& service,
                           const HostState& host, bool usable) {
  const ServiceConfig& config = *planned.service;
  trap_service value = {};
  value.pool = planned.pools.front().index;
  value.hop_limit = hop_limit_of(planned.address, service, host);
  if (config.offer && usable)
    value.flags |= TRAP_SERVICE_OFFERS;
  if (!usable && config.when_down == WhenDown::silence && !planned.pools.front().members.empty())
    value.flags |= TRAP_SERVICE_SILENT;
  if (host.has_next_hops)
    value.flags |= TRAP_SERVICE_NEXT_HOPS;
  if (service.had_sockets)
    value.flags |= TRAP_SERVICE_SOCKETS;
  if (config.syn_acks_per_s != 0) {
    value.flags |= TRAP_SERVICE_CAPPED;
    value.syn_acks = cap_rate(config.syn_acks_per_s);
  }
  if (config.serves()) {
    const Answering answering = choose_answering(service, host, config.offer && usable);
    value.flags |= serving_flags(config, service, host, answering.by);
    set_listener_values(value, planned, service, host);
    if (service.rests)
      value.peace_token_ns = peace_token_ns(config.activation);
  }
  return value;
}

std::optional<ServicePolicies> service_policies(const PlannedService& planned,
                                                const BackendAvailability& backends) {
  ServicePolicies policies;
  policies.config = planned.service->policies;
  policies.family = family_of(planned.address.address);
  const auto& entries = policies.config->entries;
  if (std::none_of(entries.begin(), entries.end(), [&](const PolicyEntry& entry) {
        return entry.prefix.family() == policies.family;
      }))
    return std::nullopt;
  for (const PolicyRule& rule : policies.config->rules)
    policies.rules.push_back(policy_value(rule, planned, backends));
  return policies;
}

MapContents make_contents(const ServerPlan& plan, const BackendAvailability& backends,
                          const HostState& host,
                          const std::function<ServiceState(const PlannedService&)>& state_of) {
  MapContents contents;
  for (const PlannedService& planned : plan.services) {
    for (const PlannedPool& pool : planned.pools)
      contents.pools[pool.index] = backends.candidates(*planned.service, pool);
    const bool usable = !contents.pools[planned.pools.front().index].empty();
    trap_service value = service_value(planned, state_of(planned), host, usable);
    if (auto policies = service_policies(planned, backends)) {
      value.flags |= TRAP_SERVICE_POLICED;
      contents.policies[planned.slot] = std::move(*policies);
    }
    contents.services[planned.slot] = value;
  }
  return contents;
}

} // namespace trap::server
