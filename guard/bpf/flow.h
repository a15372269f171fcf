/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Segments that are not SYNs pass for flows that were admitted and for sockets that exist, and for nothing else. */
#ifndef TRAP_GUARD_BPF_FLOW_H
#define TRAP_GUARD_BPF_FLOW_H

#include "guard/bpf/admit.h"

#define TRAP_FLOW_REFRESH_NS 1000000000ULL

#define TRAP_STATE_LISTEN 10 /* BPF_TCP_LISTEN of linux/bpf.h: a socket that would take anybody */

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
  struct bpf_sock_tuple tuple = {};
  struct bpf_sock* socket;
  __u32 bytes = sizeof(tuple.ipv6);
  int listening;

  if (packet->family == TRAP_IPV4) {
    tuple.ipv4.saddr = packet->source.be32[3];
    tuple.ipv4.daddr = packet->destination.be32[3];
    tuple.ipv4.sport = packet->source_port;
    tuple.ipv4.dport = packet->destination_port;
    bytes = sizeof(tuple.ipv4);
  } else {
    __builtin_memcpy(tuple.ipv6.saddr, &packet->source, 16);
    __builtin_memcpy(tuple.ipv6.daddr, &packet->destination, 16);
    tuple.ipv6.sport = packet->source_port;
    tuple.ipv6.dport = packet->destination_port;
  }
  socket = bpf_skc_lookup_tcp(ctx, &tuple, bytes, BPF_F_CURRENT_NETNS, 0);
  if (!socket)
    return 0;
  listening = socket->state == TRAP_STATE_LISTEN;
  bpf_sk_release(socket);
  return !listening;
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
