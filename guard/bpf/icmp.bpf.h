/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP: errors about a protected service pass only for its flows and sockets, so that an invented
 * one slows no path down, nor one whose fragments hide what it is about; queries pass as
 * configured; neighbour discovery and multicast listener messages pass always, or the host would
 * lose its neighbours. */
#pragma once

#define TRAP_PROGRAM_CONTEXT struct xdp_md
#include "dataplane/bpf/find_behind.bpf.h"
#include "dataplane/icmp.h"
#include "guard/bpf/flow.bpf.h"

/* An error about a protected port; the context has the service and the quoted ends. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_icmp_error(struct xdp_md* ctx, struct packet_context* context) {
  struct trap_flow_key key = flow_key_of(&context->packet);
  __u64 hash = hash_flow(&key);

  if (find_flow(&key, hash, context->monotonic_ns) ||
      find_half_open(&key, hash, context->monotonic_ns))
    return TRAP_PASS_ICMP_FLOW;
  return (context->port.flags & TRAP_PORT_SOCKETS) &&
                 trap_socket_is_connection(find_socket(ctx, &context->packet))
             ? TRAP_PASS_ICMP_FLOW
             : TRAP_DROP_ICMP_NO_FLOW;
}

/* The verdict about an ICMP message that does not show what it is about: dropped if the rest of it
 * is in other fragments. A function by itself, which the program calls: kernel 6.1 has no stack for
 * it behind judge_other(). */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict judge_unreadable(struct xdp_md* ctx,
                                                                      __u32 l3_offset) {
  const __u8* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  const __u8* l3 = data + (l3_offset & 0x1f);
  __u32 family;

  if ((const void*)(l3 + 1) > end)
    return TRAP_PASS_OTHER;
  family = l3[0] >> 4 == 4 ? TRAP_IPV4 : TRAP_IPV6;
  return trap_is_first_of_fragments(l3, end, family,
                                    header_behind(ctx, family, l3_offset, IPPROTO_FRAGMENT))
             ? TRAP_DROP_FRAGMENT
             : TRAP_PASS_OTHER;
}

/* The family of a packet that is not TCP: by the EtherType, if there is one, and the version. A
 * function by itself, because kernel 6.1 would follow all behind it twice. */
TRAP_GLOBAL_FUNCTION __u32 family_of_other(struct xdp_md* ctx, __u32 l3_offset) {
  const __u8* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  const __u8* type = data + ((l3_offset - 2) & 0x1f);

  if (l3_offset < ETH_HLEN) {
    if ((const void*)(data + 1) > end)
      return TRAP_FAMILY_NONE;
    return data[0] >> 4 == 4 ? TRAP_IPV4 : data[0] >> 4 == 6 ? TRAP_IPV6 : TRAP_FAMILY_NONE;
  }
  return (const void*)(type + 3) > end ? TRAP_FAMILY_NONE
                                       : trap_ip_family(*(const __be16*)type, type[2]);
}

/* A frame that is not TCP: only ICMP can be for a protected service. *slot receives the slot of
 * that service, and stays 0 otherwise. A function by itself, out of the way of TCP. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict
judge_other(struct xdp_md* ctx, __u32 l3_offset, __u32 family, __u32* slot) {
  const __u8* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  const __u8* l3 = data + (l3_offset & 0x1f);
  struct packet_context context = {};
  const struct trap_guard_port* port;
  const __u8 *icmp, *quoted;
  enum trap_icmp_kind kind;
  __u32 number;

  if (!slot || !family || (const void*)(l3 + 1) > end)
    return TRAP_PASS_OTHER;
  icmp = trap_find_icmp(l3, end, family, header_behind(ctx, family, l3_offset, IPPROTO_ICMPV6));
  if (!icmp || !prepare(&context))
    return TRAP_PASS_OTHER;
  if ((const void*)(icmp + TRAP_ICMP_HEADER_BYTES) > end)
    return TRAP_DROP_FRAGMENT; /* judge_unreadable() says whether it is one */
  kind = family == TRAP_IPV4 ? trap_icmpv4_kind(icmp[0]) : trap_icmpv6_kind(icmp[0]);
  if (family == TRAP_IPV6 && (trap_header_has_mapped_address(l3, end) ||
                              (kind == TRAP_ICMP_ERROR &&
                               trap_header_has_mapped_address(icmp + TRAP_ICMP_HEADER_BYTES, end))))
    return TRAP_DROP_MAPPED_ADDRESS;
  if (kind == TRAP_ICMP_QUERY)
    return context.settings->flags & TRAP_GUARD_DROPS_ICMP ? TRAP_DROP_ICMP : TRAP_PASS_OTHER;
  if (kind != TRAP_ICMP_ERROR)
    return TRAP_PASS_OTHER;
  quoted = icmp + TRAP_ICMP_HEADER_BYTES;
  if (!trap_read_quoted(&context.packet, quoted, end, family,
                        header_behind(ctx, family, (__u64)quoted - (__u64)data, IPPROTO_TCP)))
    return TRAP_DROP_FRAGMENT; /* judge_unreadable() says whether it is one */
  number = TRAP_FROM_BE16(context.packet.destination_port);
  port = bpf_map_lookup_elem(&ports, &number);
  if (!port || !port->slot)
    return TRAP_PASS_OTHER;
  context.port = *port;
  *slot = context.port.slot;
  return judge_icmp_error(ctx, &context);
}
