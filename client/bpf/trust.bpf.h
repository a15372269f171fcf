/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services that may redirect, and their targets: by the administrator's [[trust]], or by
 * default (docs/protocol.md 11, docs/adr/0024-trust.md). */
#pragma once

#include "client/bpf/scratch.bpf.h"
#include "client/targets.h"

/* NULL cannot happen. */
static __always_inline const struct trap_client_settings* client_settings(void) {
  __u32 zero = 0;

  return bpf_map_lookup_elem(&settings, &zero);
}

/* Number of the [[trust]] that names the service; 0 if none does. One that names the port takes
 * precedence. */
static __always_inline __u32 trust_of(struct scratch* memory, const union trap_address* service,
                                      __be16 port) {
  struct trap_trust_key* key = &memory->trust;
  const __u32* trust;

  key->bits = 32 + 128;
  key->of = TRAP_FROM_BE16(port);
  key->prefix = *service;
  trust = bpf_map_lookup_elem(&trust_services, key);
  if (!trust) {
    key->of = 0;
    trust = bpf_map_lookup_elem(&trust_services, key);
  }
  return trust ? *trust : 0;
}

/* Does the trust of this number name the target? */
static __always_inline int trusts(struct scratch* memory, __u32 trust,
                                  const union trap_address* target) {
  memory->trust.bits = 32 + 128;
  memory->trust.of = trust;
  memory->trust.prefix = *target;
  return bpf_map_lookup_elem(&trust_targets, &memory->trust) != NULL;
}

/* May the service that the packet comes from redirect at all? */
static __always_inline int source_may_redirect(struct scratch* memory,
                                               const struct trap_packet* packet) {
  const struct trap_client_settings* set = client_settings();

  return !set || !(set->flags & TRAP_CLIENT_ONLY_TRUSTED) ||
         trust_of(memory, &packet->source, packet->source_port);
}

/* Is the redirect of memory->hop allowed? */
TRAP_GLOBAL_FUNCTION int target_is_allowed(__u32 family) {
  const struct trap_client_settings* set = client_settings();
  struct scratch* memory = find_scratch();
  const struct hop* hop;
  __u32 trust;

  if (!set || !memory)
    return 0;
  hop = &memory->hop;
  if (hop->target_port == 0 || trap_target_is_forbidden(set, &hop->target, family))
    return 0;
  if (hop->target_port == hop->service_port && trap_address_equal(&hop->target, &hop->service))
    return 0; /* to itself: a loop */
  trust = trust_of(memory, &hop->service, hop->service_port);
  if (trust)
    return trusts(memory, trust, &hop->target);
  if (set->flags & TRAP_CLIENT_ONLY_TRUSTED)
    return 0;
  return set->flags & TRAP_CLIENT_ALLOW_PRIVATE ||
         !trap_target_is_private(set, &hop->target, family) ||
         trap_target_is_private(set, &hop->service, family);
}

/* Index of the interface on whose link the address is; 0 if it is on none of this host's. */
static __always_inline __u32 link_of(struct scratch* memory, const union trap_address* address) {
  const __u32* link;

  memory->trust.bits = 32 + 128;
  memory->trust.of = 0;
  memory->trust.prefix = *address;
  link = bpf_map_lookup_elem(&links, &memory->trust);
  return link ? *link : 0;
}

/* May the target of memory->hop do without CONSENT? Next door, by the same port; on a link of this
 * host's own only if the service is on it too. A [[trust]] alone decides for its services. */
TRAP_GLOBAL_FUNCTION int does_without_consent(__u32 family) {
  const struct trap_client_settings* set = client_settings();
  struct scratch* memory = find_scratch();
  const struct hop* hop;
  __u32 trust, link;

  if (!set || !memory)
    return 0;
  hop = &memory->hop;
  if (set->flags & TRAP_CLIENT_WITHOUT_CONSENT)
    return 1;
  trust = trust_of(memory, &hop->service, hop->service_port);
  if (trust)
    return trusts(memory, trust, &hop->target);
  if (hop->target_port != hop->service_port ||
      !trap_target_is_next_door(set, &hop->target, &hop->service, family))
    return 0;
  link = link_of(memory, &hop->target);
  return !link || (link != TRAP_LINK_UNKNOWN && link_of(memory, &hop->service) == link);
}
