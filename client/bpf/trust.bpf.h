/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services that may redirect, and their targets: by the administrator's [[trust]], or by
 * default (docs/protocol.md 11, docs/adr/0024-trust.md). */
#pragma once

#include "client/bpf/packet_context.bpf.h"

static __always_inline __u32 client_flags(void) {
  __u32 zero = 0;
  const struct trap_client_settings* set = bpf_map_lookup_elem(&settings, &zero);

  return set ? set->flags : 0;
}

/* Number of the [[trust]] that names the service the packet comes from; 0 if none does. One that
 * names the port takes precedence. */
static __always_inline __u32 trust_of_source(const struct trap_packet* packet) {
  struct trap_trust_key key = {
      .bits = 32 + 128, .of = TRAP_FROM_BE16(packet->source_port), .prefix = packet->source};
  const __u32* trust = bpf_map_lookup_elem(&trust_services, &key);

  if (!trust) {
    key.of = 0;
    trust = bpf_map_lookup_elem(&trust_services, &key);
  }
  return trust ? *trust : 0;
}

/* May the service that the packet comes from redirect at all? */
static __always_inline int source_may_redirect(const struct trap_packet* packet) {
  return !(client_flags() & TRAP_CLIENT_ONLY_TRUSTED) || trust_of_source(packet);
}

/* May it redirect there? */
static __always_inline int target_is_allowed(const struct trap_packet* packet,
                                             const struct trap_redirect* redirect) {
  struct trap_trust_key key = {.bits = 32 + 128, .prefix = redirect->backend};
  __u32 flags = client_flags();

  if (redirect->port == 0 || trap_address_is_forbidden(&redirect->backend, packet->family))
    return 0;
  if (redirect->port == packet->source_port &&
      trap_address_equal(&redirect->backend, &packet->source))
    return 0; /* to itself: a loop */
  key.of = trust_of_source(packet);
  if (key.of)
    return bpf_map_lookup_elem(&trust_targets, &key) != NULL;
  if (flags & TRAP_CLIENT_ONLY_TRUSTED)
    return 0;
  return flags & TRAP_CLIENT_ALLOW_PRIVATE ||
         !trap_address_is_private(&redirect->backend, packet->family) ||
         trap_address_is_private(&packet->source, packet->family);
}
