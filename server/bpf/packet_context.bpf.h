/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet on its walk through trap-server, with its service, the time, and the policy for its
 * source. */
#pragma once

#include "dataplane/bpf/clock.bpf.h"
#include "dataplane/packet.h"
#include "protocol/cookie.h"
#include "server/bpf/maps.bpf.h"

/* In the context's flags, beside those of the service: the cookie says the client's options. */
#define TRAP_COOKIE_SAYS_OPTIONS (1u << 31)

struct packet_context {
  struct trap_packet packet;
  const struct trap_service* service;
  const struct trap_server_settings* settings;
  __u64 monotonic_ns; /* coarse */
  struct trap_time now;
  __u32 slot;    /* 0: no service */
  __u32 flags;   /* TRAP_SERVICE_... */
  __u32 pool;    /* of backends for this client */
  __u32 backend; /* index, once it is chosen */
};

static __always_inline int serves(const struct packet_context* context) {
  return context->flags & TRAP_SERVICE_SERVES;
}

static __always_inline int offers(const struct packet_context* context) {
  return context->flags & TRAP_SERVICE_OFFERS;
}

static __always_inline int is_place_of(const struct trap_place* place,
                                       const union trap_address* address, __be16 port) {
  return place->state == TRAP_PLACE_TAKEN && place->port == port &&
         trap_address_equal(&place->address, address);
}

#define TRAP_NO_SLOT (-1L)

/* Goes on behind the home place of a key, which few keys need. A slot, or TRAP_NO_SLOT: for an out
 * parameter of a global function the slot would have to live on the stack, for every packet. */
TRAP_GLOBAL_FUNCTION long find_slot_further_on(const struct trap_packet* packet, __u32 at,
                                               __be16 port) {
  if (!packet)
    return TRAP_NO_SLOT;
  for (int i = 1; i < TRAP_PLACE_PROBES; i++) {
    const struct trap_place* place;

    at = (at + 1) & (TRAP_PLACES - 1);
    place = bpf_map_lookup_elem(&service_table, &at);
    if (!place || place->state == TRAP_PLACE_NEVER_TAKEN)
      return TRAP_NO_SLOT;
    if (is_place_of(place, &packet->destination, port))
      return place->slot;
  }
  return TRAP_NO_SLOT;
}

/* Finds the slot of the service that a packet is addressed to. If the packet shows no ports, the
 * address alone decides, and has slot 0. 0 if there is no such service. */
static __always_inline TRAP_MUST_USE int find_slot(const struct trap_packet* packet, __u32* slot) {
  __be16 port = packet->has_ports ? packet->destination_port : 0;
  __u32 at = trap_place_of(&packet->destination, port);
  const struct trap_place* home = bpf_map_lookup_elem(&service_table, &at);
  long found;

  if (packet->has_ports && port == 0)
    return 0; /* in the map, port 0 stands for the address */
  if (!home || home->state == TRAP_PLACE_NEVER_TAKEN)
    return 0;
  found = is_place_of(home, &packet->destination, port) ? home->slot
                                                        : find_slot_further_on(packet, at, port);
  *slot = (__u32)found;
  return found != TRAP_NO_SLOT;
}

/* Fetches the service in `slot`, settings and time. 0 if a map lacks an entry that it always has.
 */
static __always_inline int prepare(struct packet_context* context, __u32 slot) {
  __u32 zero = 0;

  context->slot = slot;
  context->service = bpf_map_lookup_elem(&services, &slot);
  context->settings = bpf_map_lookup_elem(&settings, &zero);
  if (!context->service || !context->settings)
    return 0;
  context->flags = context->service->flags;
  context->pool = context->service->pool;
  context->monotonic_ns = coarse_ns();
  context->now = trap_time_at(&context->settings->clock, context->monotonic_ns);
  return 1;
}

static __always_inline struct trap_connection connection_of(const struct trap_packet* packet,
                                                            __be32 client_isn) {
  struct trap_connection connection = {
      .client = packet->source,
      .server = packet->destination,
      .client_port = packet->source_port,
      .server_port = packet->destination_port,
      .client_isn = client_isn,
      .family = packet->family,
  };
  return connection;
}

/* Applies the service's policy for the client's prefix: 0 if it denies the client. SYNs ask too, so
 * that a client to be served is not offered a redirect. */
static __always_inline int policy_allows(struct packet_context* context) {
  struct trap_policy_key key = {.bits = 128};
  const struct trap_policy* policy;
  void* trie;
  __u32 slot = context->slot;

  if (!(context->flags & TRAP_SERVICE_POLICED))
    return 1;
  __builtin_memcpy(key.address, &context->packet.source, sizeof(key.address));
  trie = bpf_map_lookup_elem(&policies, &slot);
  policy = trie ? bpf_map_lookup_elem(trie, &key) : NULL;
  if (!policy)
    return 1;
  switch (policy->action) {
  case TRAP_POLICY_POOL:
    context->pool = policy->pool;
    return 1;
  case TRAP_POLICY_SERVE:
    context->flags &= ~TRAP_SERVICE_OFFERS;
    return 1;
  default:
    return 0;
  }
}
