/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Segments that are not SYNs pass for flows that were admitted and for sockets that exist, and for nothing else. */
#ifndef TRAP_GUARD_BPF_FLOW_H
#define TRAP_GUARD_BPF_FLOW_H

#include "dataplane/bpf/socket.h"
#include "guard/bpf/admit.h"

#define TRAP_FLOW_REFRESH_NS 1000000000ULL

static __always_inline struct trap_flow_key flow_key_of(const struct trap_packet* packet) {
  struct trap_flow_key key = {
      .client = packet->source,
      .service = packet->destination,
      .client_port = packet->source_port,
      .service_port = packet->destination_port,
  };
  return key;
}

static __always_inline void remember_flow(const struct encounter* e) {
  struct trap_flow_key key = flow_key_of(&e->packet);
  struct trap_guard_flow flow = {.seen_ns = e->monotonic_ns};

  bpf_map_update_elem(&flows, &key, &flow, BPF_ANY); /* if it fails, the socket will speak for the flow */
}

/* Does the host have a socket of exactly this connection (also a half-open or closing one), as opposed to a listener? */
static __always_inline int has_socket(struct xdp_md* ctx, const struct trap_packet* packet) {
  enum trap_socket socket = find_socket(ctx, packet);

  return socket != TRAP_SOCKET_NONE && socket != TRAP_SOCKET_LISTENS;
}

static __always_inline enum trap_verdict judge_flow(struct xdp_md* ctx, const struct encounter* e) {
  struct trap_flow_key key = flow_key_of(&e->packet);
  struct trap_guard_flow* flow = bpf_map_lookup_elem(&flows, &key);

  if (flow && e->monotonic_ns - flow->seen_ns < TRAP_FLOW_IDLE_NS) {
    if (e->monotonic_ns - flow->seen_ns > TRAP_FLOW_REFRESH_NS)
      flow->seen_ns = e->monotonic_ns;
    return TRAP_PASS_FLOW;
  }
  return has_socket(ctx, &e->packet) ? TRAP_PASS_SOCKET : TRAP_DROP_NO_FLOW;
}

#endif
