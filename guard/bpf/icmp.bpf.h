/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP: errors about a protected service pass only for flows and sockets of it (what an attacker
 * invents slows nobody's path down), queries as configured; neighbour discovery and multicast
 * listeners always, or the host would have no neighbours. */
#pragma once

#include "dataplane/icmp.h"
#include "guard/bpf/flow.bpf.h"

/* An error about a protected port, of which e has service and ends. */
static __always_inline enum trap_verdict judge_icmp_error(struct xdp_md* ctx,
                                                          struct packet_context* e) {
  struct trap_flow_key key = flow_key_of(&e->packet);
  __u64 hash = trap_flow_hash(&key, e->settings->table_keys);

  if (find_flow(&key, hash, e->monotonic_ns))
    return TRAP_PASS_ICMP_FLOW;
  return (e->port.flags & TRAP_PORT_SOCKETS) && has_socket(ctx, &e->packet)
             ? TRAP_PASS_ICMP_FLOW
             : TRAP_DROP_ICMP_NO_FLOW;
}

/* A frame that is not TCP: TRAP_PASS_OTHER unless it is ICMP that is to be dropped, or an error
 * about a protected port. Returns the verdict, and above it the slot of the service (<< 16). A
 * function by itself, out of the way of TCP. */
TRAP_GLOBAL_FUNCTION int judge_other(struct xdp_md* ctx, __u32 l3_offset) {
  const __u8* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  const __u8* l3 = data + (l3_offset & 0x1f);
  struct packet_context e = {};
  const struct trap_guard_port* port;
  const __u8* icmp;
  enum trap_icmp_kind kind;
  __u32 family, number;

  if ((const void*)(l3 + 1) > end)
    return TRAP_PASS_OTHER;
  family = l3[0] >> 4 == 4 ? TRAP_IPV4 : TRAP_IPV6;
  icmp = trap_find_icmp(l3, end, family);
  if (!icmp || (const void*)(icmp + TRAP_ICMP_HEADER_BYTES) > end || !prepare(&e))
    return TRAP_PASS_OTHER;
  kind = family == TRAP_IPV4 ? trap_icmpv4_kind(icmp[0]) : trap_icmpv6_kind(icmp[0]);
  if (kind == TRAP_ICMP_QUERY)
    return e.settings->flags & TRAP_GUARD_DROPS_ICMP ? TRAP_DROP_ICMP : TRAP_PASS_OTHER;
  if (kind != TRAP_ICMP_ERROR ||
      !trap_read_quoted(&e.packet, icmp + TRAP_ICMP_HEADER_BYTES, end, family))
    return TRAP_PASS_OTHER;
  number = TRAP_FROM_BE16(e.packet.destination_port);
  port = bpf_map_lookup_elem(&ports, &number);
  if (!port || !port->slot)
    return TRAP_PASS_OTHER;
  e.port = *port;
  return (int)judge_icmp_error(ctx, &e) | e.port.slot << 16;
}
