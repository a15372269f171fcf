/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What trap-server knows of a packet on its walk: its service, the time, and what policy says of
 * its source. */
#pragma once

#include "dataplane/bpf/clock.bpf.h"
#include "dataplane/packet.h"
#include "protocol/cookie.h"
#include "server/bpf/maps.bpf.h"

struct packet_context {
  struct trap_packet packet;
  const struct trap_service* service;
  const struct trap_server_settings* settings;
  __u64 monotonic_ns; /* coarse */
  struct trap_time now;
  __u32 slot;    /* 0: no service */
  __u32 flags;   /* TRAP_SERVICE_... */
  __u32 pool;    /* that this client is sent to */
  __u32 backend; /* of that pool, once it is chosen */
};

static __always_inline int serves(const struct packet_context* e) {
  return e->flags & TRAP_SERVICE_SERVES;
}

static __always_inline int offers(const struct packet_context* e) {
  return e->flags & TRAP_SERVICE_OFFERS;
}

#define TRAP_NO_SLOT (-1L)

/* Is this the place of the key? */
static __always_inline int is_place_of(const struct trap_place* place,
                                       const union trap_address* address, __be16 port) {
  return place->state == TRAP_PLACE_TAKEN && place->port == port &&
         trap_address_equal(&place->address, address);
}

/* Goes on behind the home place of a key, of which there are few that need it. */
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

/* The slot of the service a packet is addressed to; by its address alone if it has no ports: slot
 * 0. */
static __always_inline long find_slot(const struct trap_packet* packet) {
  __be16 port = packet->has_ports ? packet->destination_port : 0;
  __u32 at = trap_place_of(&packet->destination, port);
  const struct trap_place* home = bpf_map_lookup_elem(&service_table, &at);

  if (packet->has_ports && port == 0)
    return TRAP_NO_SLOT; /* port 0 stands for the address in the map */
  if (!home || home->state == TRAP_PLACE_NEVER_TAKEN)
    return TRAP_NO_SLOT;
  return is_place_of(home, &packet->destination, port) ? home->slot
                                                       : find_slot_further_on(packet, at, port);
}

/* What is needed to judge a packet of the service in `slot`. 0 if a map that always has it has not.
 */
static __always_inline int prepare(struct packet_context* e, __u32 slot) {
  __u32 zero = 0;

  e->slot = slot;
  e->service = bpf_map_lookup_elem(&services, &slot);
  e->settings = bpf_map_lookup_elem(&settings, &zero);
  if (!e->service || !e->settings)
    return 0;
  e->flags = e->service->flags;
  e->pool = e->service->pool;
  e->monotonic_ns = coarse_ns();
  e->now = trap_time_at(&e->settings->clock, e->monotonic_ns);
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

/* Applies the service's policy for the client's prefix: 0 if it denies him. Asked for SYNs too, so
 * that a client who is to be served is not offered a redirect. */
static __always_inline int policy_allows(struct packet_context* e) {
  struct trap_policy_key key = {.bits = 128};
  const struct trap_policy* policy;
  void* trie;
  __u32 slot = e->slot;

  if (!(e->flags & TRAP_SERVICE_POLICED))
    return 1;
  __builtin_memcpy(key.address, &e->packet.source, sizeof(key.address));
  trie = bpf_map_lookup_elem(&policies, &slot);
  policy = trie ? bpf_map_lookup_elem(trie, &key) : NULL;
  if (!policy)
    return 1;
  switch (policy->action) {
  case TRAP_POLICY_POOL:
    e->pool = policy->pool;
    return 1;
  case TRAP_POLICY_SERVE:
    e->flags &= ~TRAP_SERVICE_OFFERS;
    return 1;
  default:
    return 0;
  }
}
