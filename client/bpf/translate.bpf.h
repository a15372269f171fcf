/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rewrites one end of a redirected connection's packets. The kernel's helpers keep checksums right
 * in every state of offloading: complete, partial (TSO, GSO) or verified by the card (GRO). */
#pragma once

#include "client/bpf/packet_context.bpf.h"
#include "dataplane/bpf/append_option.bpf.h"
#include "dataplane/checksum.h"

enum trap_end {
  TRAP_SOURCE,
  TRAP_DESTINATION,
};

/* Both ports of a segment, as they lie in its header. */
static __always_inline __u32 ports_of(__be16 source, __be16 destination) {
  return (__u32)source | (__u32)destination << 16;
}

/* An IPv4 header from its checksum on, and the ports behind it. */
struct ipv4_ends {
  __be16 check;
  __be32 source;
  __be32 destination;
  __u32 ports;
} __attribute__((packed));

/* Of an IPv4 header without options, everything that changes lies in a row and is stored at once.
 * Its checksum and addresses change by the same sum, so that a card's sum over the whole packet
 * stays as it is. Stores into the packet itself would make the kernel look at every packet whether
 * it is shared, also at those that are not translated. */
static __always_inline int store_ipv4_ends(struct __sk_buff* skb, const struct trap_packet* packet,
                                           enum trap_end which, __be32 to, __u32 ports) {
  __u32 at = packet->l3_offset + 10;
  __be32 from = which == TRAP_SOURCE ? packet->source.be32[3] : packet->destination.be32[3];
  struct ipv4_ends ends = {
      .source = packet->source.be32[3], .destination = packet->destination.be32[3], .ports = ports};
  const __u8* check = (const __u8*)(long)skb->data + (at & 0x3f);

  if ((const void*)(check + 2) > (const void*)(long)skb->data_end)
    return -1;
  ends.check = trap_sum_fold((__u64)(__u16) ~*(const __be16*)check + (__u32)~from + to);
  if (which == TRAP_SOURCE)
    ends.source = to;
  else
    ends.destination = to;
  return (int)bpf_skb_store_bytes(skb, at, &ends, sizeof(ends), 0);
}

static __always_inline int store_ports(struct __sk_buff* skb, const struct trap_packet* packet,
                                       __u32 ports) {
  return (int)bpf_skb_store_bytes(skb, packet->l4_offset, &ports, sizeof(ports), 0);
}

static __always_inline int replace_ipv4(struct __sk_buff* skb, const struct trap_packet* packet,
                                        enum trap_end which, __be32 to, __u32 ports) {
  __be32 from = which == TRAP_SOURCE ? packet->source.be32[3] : packet->destination.be32[3];

  if (bpf_l4_csum_replace(skb, packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET, from, to,
                          BPF_F_PSEUDO_HDR | 4))
    return -1;
  if (packet->l4_offset - packet->l3_offset == sizeof(struct iphdr))
    return store_ipv4_ends(skb, packet, which, to, ports);
  return bpf_l3_csum_replace(skb, packet->l3_offset + 10, from, to, 4) ||
         bpf_skb_store_bytes(skb, packet->l3_offset + (which == TRAP_SOURCE ? 12 : 16), &to, 4,
                             0) ||
         store_ports(skb, packet, ports);
}

/* Without an IP header checksum to make up for the address, a card's sum over the whole packet
 * (CHECKSUM_COMPLETE) is corrected twice, once by each helper, and comes out right; storing without
 * BPF_F_RECOMPUTE_CSUM would leave it wrong. */
static __always_inline int replace_ipv6(struct __sk_buff* skb, const struct trap_packet* packet,
                                        enum trap_end which, const union trap_address* to) {
  union trap_address from = which == TRAP_SOURCE ? packet->source : packet->destination;
  union trap_address address = *to;
  __u32 address_offset = packet->l3_offset + (which == TRAP_SOURCE ? 8 : 24);
  __s64 difference = bpf_csum_diff(from.be32, 16, address.be32, 16, 0);

  return difference < 0 ||
         bpf_l4_csum_replace(skb, packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET, 0, difference,
                             BPF_F_PSEUDO_HDR) ||
         bpf_skb_store_bytes(skb, address_offset, &address, 16, BPF_F_RECOMPUTE_CSUM);
}

/* Gives the packet another source or destination, address and port, and at its other end, which is
 * the local one, the other port of a lane: that on the wire, or back that of the socket. 0 on
 * success. */
static __always_inline int replace_end(struct __sk_buff* skb, const struct trap_packet* packet,
                                       enum trap_end which, const union trap_address* to,
                                       __be16 to_port, __u32 flow_flags) {
  __be16 local = which == TRAP_SOURCE ? packet->destination_port : packet->source_port;
  __u32 lane = trap_lane(flow_flags);
  __u32 before = ports_of(packet->source_port, packet->destination_port), ports;

  if (lane)
    local = trap_lane_port(local, lane);
  ports = which == TRAP_SOURCE ? ports_of(to_port, local) : ports_of(local, to_port);
  if (packet->family == TRAP_IPV4) {
    if (replace_ipv4(skb, packet, which, to->be32[3], ports))
      return -1;
  } else if (replace_ipv6(skb, packet, which, to) ||
             (ports != before && store_ports(skb, packet, ports))) {
    return -1;
  }
  return ports != before &&
         bpf_l4_csum_replace(skb, packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET, before, ports, 4);
}
