/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The interface of a program: whether its packets have an Ethernet header, and whether they belong
 * to this host or to hosts behind it (docs/adr/0026-routers.md). Both are constants of each
 * program. */
#pragma once

#include <linux/if_packet.h>

#include "client/bpf/scratch.bpf.h"

static __always_inline TRAP_MUST_USE enum trap_layer read_packet(struct __sk_buff* skb,
                                                                 struct packet_context* context) {
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;

  return context->framing == TRAP_FRAMING_ETHERNET ? trap_read_frame(&context->packet, data, end)
                                                   : trap_read_ip(&context->packet, data, end);
}

/* Does the packet belong to a VLAN interface on top of this one, which has hooks of its own? */
static __always_inline int is_of_vlan(const struct __sk_buff* skb,
                                      const struct packet_context* context) {
  return context->side == TRAP_SIDE_HOST && skb->vlan_present && skb->vlan_tci & 0x0fff;
}

/* Is the packet none of the programs', though it leaves by an interface of this host's own? So are
 * SYNs of the daemon, and forwarded packets. A LAN interface saw those when they came in, before
 * addresses were translated: here all hosts behind may share one address, and none may redirect
 * another. */
static __always_inline int is_passing_by(const struct __sk_buff* skb,
                                         const struct packet_context* context) {
  return context->side == TRAP_SIDE_HOST &&
         (skb->ingress_ifindex || skb->priority == TRAP_CLIENT_OWN_PRIORITY ||
          is_of_vlan(skb, context));
}

/* Of the packets that pass by, those of hosts behind this one. */
static __always_inline int is_forwarded(const struct __sk_buff* skb,
                                        const struct packet_context* context) {
  return skb->ingress_ifindex && !is_of_vlan(skb, context);
}

/* Was the frame, which arrives at this host's own interface, sent to a group? No stack takes TCP
 * from it, and every host of the group would. */
static __always_inline int is_to_group(const struct __sk_buff* skb,
                                       const struct packet_context* context) {
  return context->side == TRAP_SIDE_HOST && context->framing == TRAP_FRAMING_ETHERNET &&
         (skb->pkt_type == PACKET_BROADCAST || skb->pkt_type == PACKET_MULTICAST);
}

/* Is the frame for another host, and seen only because the interface is promiscuous? It is not if
 * it is for the address that the SYN came from: a bridge or a macvlan upon the interface has
 * another one than that. */
static __always_inline int is_to_other_host(struct __sk_buff* skb, const struct trap_pending* syn) {
  __u8 to[ETH_ALEN];
  __u32 difference = 0;

  if (!syn->ifindex || skb->pkt_type != PACKET_OTHERHOST ||
      bpf_skb_load_bytes(skb, 0, to, sizeof(to)))
    return 0;
  for (int i = 0; i < ETH_ALEN; i++)
    difference |= to[i] ^ syn->ethernet[ETH_ALEN + i];
  return difference != 0;
}

static __always_inline int swap_ethernet_addresses(struct __sk_buff* skb) {
  __u8 from[2 * ETH_ALEN];
  __u8 to[2 * ETH_ALEN];

  if (bpf_skb_load_bytes(skb, 0, from, sizeof(from)))
    return -1;
  __builtin_memcpy(to, from + ETH_ALEN, ETH_ALEN);
  __builtin_memcpy(to + ETH_ALEN, from, ETH_ALEN);
  return bpf_skb_store_bytes(skb, 0, to, sizeof(to), 0);
}

/* Sends a copy of the packet that an answer was turned into, back where that came from; the packet
 * itself is as before. 0 on success. */
static __always_inline int send_copy(struct __sk_buff* skb, struct scratch* memory) {
  const struct packet_context* context = &memory->packet_context;
  __u64 flags = context->side == TRAP_SIDE_LAN ? BPF_F_INGRESS : 0;
  long failed;

  if (context->framing == TRAP_FRAMING_ETHERNET && swap_ethernet_addresses(skb))
    return -1;
  memory->is_sending_copy = 1;
  failed = bpf_clone_redirect(skb, skb->ifindex, flags);
  memory->is_sending_copy = 0;
  if (context->framing == TRAP_FRAMING_ETHERNET && swap_ethernet_addresses(skb))
    return -1;
  return (int)failed;
}

/* Sends the packet that an answer was turned into: to the wire, or, for a host behind this one, in
 * from the LAN as if that host had sent it, so that it is routed, filtered and translated like the
 * rest of its connection. To the wire it goes the way of the application's SYN, because mark, user
 * and ports may have routes of their own, or by the neighbour table if it has another next hop.
 * Sets context->action; 0 on success. */
static __always_inline int send_answer(struct __sk_buff* skb, struct packet_context* context,
                                       const struct outgoing* out) {
  if (context->side == TRAP_SIDE_LAN) {
    if (context->framing == TRAP_FRAMING_ETHERNET && swap_ethernet_addresses(skb))
      return -1;
    context->action = (int)bpf_redirect(skb->ifindex, BPF_F_INGRESS);
  } else if (context->framing == TRAP_FRAMING_IP) {
    context->action = (int)bpf_redirect(skb->ifindex, 0); /* one next hop, which needs no header */
  } else if (!out->ifindex) {
    context->action = (int)bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
  } else if (out->is_to_be_routed) {
    skb->mark = out->mark;
    context->action = (int)bpf_redirect_neigh(out->ifindex, NULL, 0, 0);
  } else {
    if (bpf_skb_store_bytes(skb, 0, out->ethernet, sizeof(out->ethernet), 0))
      return -1;
    context->action = (int)bpf_redirect(out->ifindex, 0);
  }
  return 0;
}
