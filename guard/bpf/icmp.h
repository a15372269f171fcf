/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP: errors about a protected service pass only for flows and sockets of it (what an attacker invents slows nobody's path down), queries
 * as configured; neighbour discovery and multicast listeners always, or the host would have no neighbours. */
#ifndef TRAP_GUARD_BPF_ICMP_H
#define TRAP_GUARD_BPF_ICMP_H

#include "guard/bpf/flow.h"

#define TRAP_ICMP_HEADER_BYTES 8

enum icmp_kind {
  ICMP_KIND_NONE, /* not ICMP */
  ICMP_KIND_ERROR,
  ICMP_KIND_QUERY,
  ICMP_KIND_LINK, /* what IPv6 needs between neighbours */
};

/* Types of RFC 792. Source quench and redirects are no errors about a packet that a host should act upon: queries here. */
static __always_inline enum icmp_kind kind_of_icmpv4(__u8 type) {
  return type == 3 || type == 11 || type == 12 ? ICMP_KIND_ERROR : ICMP_KIND_QUERY;
}

/* RFC 4443: below 128 errors. RFC 4861: 133 to 137. RFC 2710 and 3810: 130 to 132 and 143. */
static __always_inline enum icmp_kind kind_of_icmpv6(__u8 type) {
  if (type < 128)
    return ICMP_KIND_ERROR;
  return (type >= 130 && type <= 137) || type == 143 ? ICMP_KIND_LINK : ICMP_KIND_QUERY;
}

/* Where the ICMP message starts behind the IP header at l3, NULL if it is none. One extension header is followed, as those of MLD have. */
static __always_inline const __u8* find_icmp(const __u8* l3, const void* end, __u32 family) {
  __u64 offset;

  if (family == TRAP_IPV4) {
    if ((const void*)(l3 + sizeof(struct iphdr)) > end || ((const struct iphdr*)l3)->protocol != IPPROTO_ICMP)
      return NULL;
    if (((const struct iphdr*)l3)->frag_off & TRAP_BE16(0x1fff))
      return NULL;
    offset = (l3[0] & 0x0f) * 4;
    TRAP_HOLD(offset);
    return l3 + offset;
  }
  if ((const void*)(l3 + sizeof(struct ipv6hdr) + 8) > end)
    return NULL;
  if (((const struct ipv6hdr*)l3)->nexthdr == IPPROTO_ICMPV6)
    return l3 + sizeof(struct ipv6hdr);
  if (!trap_is_extension_header(((const struct ipv6hdr*)l3)->nexthdr) || l3[sizeof(struct ipv6hdr)] != IPPROTO_ICMPV6)
    return NULL;
  offset = sizeof(struct ipv6hdr) + (l3[sizeof(struct ipv6hdr) + 1] + 1ULL) * 8;
  TRAP_HOLD(offset);
  return l3 + offset;
}

/* Reads the packet that an error is about as if it had come from its addressee: *packet gets the flow's two ends the way segments of the
 * client show them. 0 if it is not TCP, or not there. */
static __always_inline int read_quoted(struct trap_packet* packet, const __u8* l3, const void* end, __u32 family) {
  const struct trap_tcp* tcp;
  __u64 offset = sizeof(struct ipv6hdr);

  if (family == TRAP_IPV4) {
    const struct iphdr* ip = (const struct iphdr*)l3;

    if ((const void*)(ip + 1) > end || ip->protocol != IPPROTO_TCP)
      return 0;
    packet->source = trap_address_v4(ip->daddr);
    packet->destination = trap_address_v4(ip->saddr);
    offset = (l3[0] & 0x0f) * 4;
    TRAP_HOLD(offset);
  } else {
    const struct ipv6hdr* ip = (const struct ipv6hdr*)l3;

    if ((const void*)(ip + 1) > end || ip->nexthdr != IPPROTO_TCP)
      return 0;
    __builtin_memcpy(&packet->source, &ip->daddr, 16);
    __builtin_memcpy(&packet->destination, &ip->saddr, 16);
  }
  tcp = (const struct trap_tcp*)(l3 + offset);
  if ((const __u8*)tcp + 4 > (const __u8*)end)
    return 0;
  packet->family = family;
  packet->source_port = tcp->destination_port;
  packet->destination_port = tcp->source_port;
  return 1;
}

/* An error about a protected port, of which e has service and ends. */
static __always_inline enum trap_verdict judge_icmp_error(struct xdp_md* ctx, struct encounter* e) {
  struct trap_flow_key key = flow_key_of(&e->packet);
  __u64 hash = trap_flow_hash(&key, e->settings->table_keys);

  if (find_flow(&key, hash, e->monotonic_ns))
    return TRAP_PASS_ICMP_FLOW;
  return (e->port.flags & TRAP_PORT_SOCKETS) && has_socket(ctx, &e->packet) ? TRAP_PASS_ICMP_FLOW : TRAP_DROP_ICMP_NO_FLOW;
}

/* A frame that is not TCP: TRAP_PASS_OTHER unless it is ICMP that is to be dropped, or an error about a protected port. Returns the
 * verdict, and above it the slot of the service (<< 16). A function by itself, out of the way of TCP. */
TRAP_GLOBAL_FUNCTION int judge_other(struct xdp_md* ctx, __u32 l3_offset) {
  const __u8* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  const __u8* l3 = data + (l3_offset & 0x1f);
  struct encounter e = {};
  const struct trap_guard_port* port;
  const __u8* icmp;
  enum icmp_kind kind;
  __u32 family, number;

  if ((const void*)(l3 + 1) > end)
    return TRAP_PASS_OTHER;
  family = l3[0] >> 4 == 4 ? TRAP_IPV4 : TRAP_IPV6;
  icmp = find_icmp(l3, end, family);
  if (!icmp || (const void*)(icmp + TRAP_ICMP_HEADER_BYTES) > end || !prepare(&e))
    return TRAP_PASS_OTHER;
  kind = family == TRAP_IPV4 ? kind_of_icmpv4(icmp[0]) : kind_of_icmpv6(icmp[0]);
  if (kind == ICMP_KIND_QUERY)
    return e.settings->flags & TRAP_GUARD_DROPS_ICMP ? TRAP_DROP_ICMP : TRAP_PASS_OTHER;
  if (kind != ICMP_KIND_ERROR || !read_quoted(&e.packet, icmp + TRAP_ICMP_HEADER_BYTES, end, family))
    return TRAP_PASS_OTHER;
  number = TRAP_FROM_BE16(e.packet.destination_port);
  port = bpf_map_lookup_elem(&ports, &number);
  if (!port || !port->slot)
    return TRAP_PASS_OTHER;
  e.port = *port;
  return (int)judge_icmp_error(ctx, &e) | e.port.slot << 16;
}

#endif
