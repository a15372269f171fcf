/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet on its walk through trap-guard, with its service, the settings and the time. */
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

static __always_inline __u8 scope_of(const struct packet_context* context) {
  return context->packet.family == TRAP_IPV4 ? context->port.scope_v4 : context->port.scope_v6;
}

static __always_inline struct trap_time unix_time(const struct packet_context* context) {
  return trap_time_at(&context->settings->clock, context->monotonic_ns);
}

/* Fetches settings and time for a packet about a protected port. 0 if the map lacks its entry,
 * which it always has. */
static __always_inline int prepare(struct packet_context* context) {
  __u32 zero = 0;

  context->settings = bpf_map_lookup_elem(&settings, &zero);
  context->monotonic_ns = coarse_ns();
  return context->settings != NULL;
}

/* The keys have run out, and the configuration says that nothing passes then. */
static __always_inline int is_shut(const struct packet_context* context) {
  return (context->settings->flags & TRAP_GUARD_STALE_DROPS) &&
         context->monotonic_ns >= context->settings->keys_until_ns;
}
