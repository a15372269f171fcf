/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What trap-guard knows of a packet on its walk: its service, the settings, the time. */
#pragma once

#include "dataplane/bpf/clock.bpf.h"
#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/packet.h"
#include "guard/bpf/maps.bpf.h"

struct packet_context {
  struct trap_packet packet;
  struct trap_guard_port port;
  const struct trap_guard_settings* settings;
  __u64 monotonic_ns;
};

static __always_inline __u8 scope_of(const struct packet_context* e) {
  return e->packet.family == TRAP_IPV4 ? e->port.scope_v4 : e->port.scope_v6;
}

static __always_inline struct trap_time unix_time(const struct packet_context* e) {
  return trap_time_at(&e->settings->clock, e->monotonic_ns);
}

/* Settings and clock for a packet that concerns a protected port. 0 if a map that always has them
 * has not. */
static __always_inline int prepare(struct packet_context* e) {
  __u32 zero = 0;

  e->settings = bpf_map_lookup_elem(&settings, &zero);
  e->monotonic_ns = coarse_ns();
  return e->settings != NULL;
}

/* The keys have run out, and the configuration says that nothing passes then. */
static __always_inline int is_shut(const struct packet_context* e) {
  return (e->settings->flags & TRAP_GUARD_STALE_DROPS) &&
         e->monotonic_ns >= e->settings->keys_until_ns;
}
