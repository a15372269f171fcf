/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rewrites one end of a redirected connection's packets. The kernel's helpers keep checksums right
 * in every state of offloading: complete, partial (TSO, GSO) or verified by the card (GRO). */
#pragma once

#include "client/bpf/packet_context.bpf.h"
#include "dataplane/bpf/append_option.bpf.h"

enum trap_end {
  TRAP_SOURCE,
  TRAP_DESTINATION,
};

static __always_inline int replace_ipv4(struct __sk_buff* skb, const struct trap_packet* packet,
                                        enum trap_end which, __be32 from, __be32 to) {
  __u32 address_offset = packet->l3_offset + (which == TRAP_SOURCE ? 12 : 16);

  return bpf_l4_csum_replace(skb, packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET, from, to,
                             BPF_F_PSEUDO_HDR | 4) ||
         bpf_l3_csum_replace(skb, packet->l3_offset + 10, from, to, 4) ||
         bpf_skb_store_bytes(skb, address_offset, &to, 4, 0);
}

/* Without an IP header checksum to make up for the address, a card's sum over the whole packet
 * (CHECKSUM_COMPLETE) is corrected twice, once by each helper, and comes out right; storing without
 * BPF_F_RECOMPUTE_CSUM would leave it wrong. */
static __always_inline int replace_ipv6(struct __sk_buff* skb, const struct trap_packet* packet,
                                        enum trap_end which, const union trap_address* from,
                                        const union trap_address* to) {
  __u32 address_offset = packet->l3_offset + (which == TRAP_SOURCE ? 8 : 24);
  __s64 difference = bpf_csum_diff((__be32*)from, 16, (__be32*)to, 16, 0);

  return difference < 0 ||
         bpf_l4_csum_replace(skb, packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET, 0, difference,
                             BPF_F_PSEUDO_HDR) ||
         bpf_skb_store_bytes(skb, address_offset, to, 16, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int replace_port(struct __sk_buff* skb, const struct trap_packet* packet,
                                        enum trap_end which, __be16 from, __be16 to) {
  return bpf_l4_csum_replace(skb, packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET, from, to, 2) ||
         bpf_skb_store_bytes(skb, packet->l4_offset + (which == TRAP_SOURCE ? 0 : 2), &to, 2, 0);
}

/* Gives the packet the other port of a lane: that on the wire, or back that of the socket. 0 on
 * success. */
static __always_inline int replace_lane(struct __sk_buff* skb, const struct trap_packet* packet,
                                        enum trap_end local, __u32 flow_flags) {
  __be16 from = local == TRAP_SOURCE ? packet->source_port : packet->destination_port;
  __u32 lane = trap_lane(flow_flags);

  return lane && replace_port(skb, packet, local, from, trap_lane_port(from, lane));
}

/* Gives the packet another source or destination, address and port. 0 on success. */
static __always_inline int replace_end(struct __sk_buff* skb, const struct trap_packet* packet,
                                       enum trap_end which, const union trap_address* to,
                                       __be16 to_port) {
  union trap_address from = which == TRAP_SOURCE ? packet->source : packet->destination;
  union trap_address address = *to;
  __be16 port = to_port;
  __be16 from_port = which == TRAP_SOURCE ? packet->source_port : packet->destination_port;
  int failed = packet->family == TRAP_IPV4
                   ? replace_ipv4(skb, packet, which, from.be32[3], address.be32[3])
                   : replace_ipv6(skb, packet, which, &from, &address);

  return failed || replace_port(skb, packet, which, from_port, port);
}
