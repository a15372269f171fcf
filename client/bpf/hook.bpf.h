/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The interface at which a program is attached: whether its packets have an Ethernet header, and
 * whether they are this host's or those of hosts behind it (docs/adr/0026-routers.md). Each program
 * has constants for both. */
#pragma once

#include "client/bpf/packet_context.bpf.h"

static __always_inline enum trap_layer read_packet(struct __sk_buff* skb,
                                                   struct packet_context* e) {
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;

  return e->link == TRAP_LINK_ETHERNET ? trap_read_frame(&e->packet, data, end)
                                       : trap_read_ip(&e->packet, data, end);
}

/* Does a packet belong to a VLAN interface upon this one, which has hooks of its own? */
static __always_inline int is_of_vlan(const struct __sk_buff* skb, const struct packet_context* e) {
  return e->side == TRAP_SIDE_HOST && skb->vlan_present && skb->vlan_tci & 0x0fff;
}

/* What leaves by an interface of this host's own and is not for the programs: SYNs of the daemon,
 * and what is forwarded. A LAN interface saw that when it came in, before addresses were
 * translated: here all hosts behind may share one, and none may redirect another. */
static __always_inline int is_passing_by(const struct __sk_buff* skb,
                                         const struct packet_context* e) {
  return e->side == TRAP_SIDE_HOST &&
         (skb->ingress_ifindex || skb->priority == TRAP_CLIENT_OWN_PRIORITY || is_of_vlan(skb, e));
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

/* Sends what was made of an answer: to the wire, or, in the stead of a host behind this one, in
 * from the LAN as if that host had sent it, so that it is routed, filtered and translated as
 * everything of its connection is. Sets e->action; 0 on success. */
static __always_inline int send_answer(struct __sk_buff* skb, struct packet_context* e) {
  if (e->side == TRAP_SIDE_LAN) {
    if (e->link == TRAP_LINK_ETHERNET && swap_ethernet_addresses(skb))
      return -1;
    e->action = (int)bpf_redirect(skb->ifindex, BPF_F_INGRESS);
  } else if (e->link == TRAP_LINK_IP) {
    e->action =
        (int)bpf_redirect(skb->ifindex, 0); /* there is one next hop, and no header for it */
  } else {
    e->action = (int)bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
  }
  return 0;
}
