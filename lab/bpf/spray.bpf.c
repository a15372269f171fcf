/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A router that knows nothing of connections, at its worst: the SYN of a connection goes to one
 * TRAP server and everything after it to the next. At tc egress of the interface through which the
 * public address is reached. */
#include "lab/bpf/spray.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct lab_spray_order order;
__u64 sprayed[LAB_SPRAY_MEMBERS];

/* The TCP header behind an IP header without options; NULL for anything else. */
static __always_inline struct tcphdr* tcp_of(void* data, void* end, __u32* source) {
  struct ethhdr* eth = data;
  struct iphdr* ip4 = (void*)(eth + 1);
  struct ipv6hdr* ip6 = (void*)(eth + 1);
  struct tcphdr* tcp;

  if ((void*)(ip4 + 1) > end)
    return NULL;
  if (eth->h_proto == bpf_htons(ETH_P_IP)) {
    *source = ip4->saddr;
    tcp = (void*)(ip4 + 1);
    return ip4->protocol == IPPROTO_TCP && ip4->ihl == 5 && (void*)(tcp + 1) <= end ? tcp : NULL;
  }
  tcp = (void*)(ip6 + 1);
  if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (void*)(tcp + 1) > end)
    return NULL;
  *source = ip6->saddr.s6_addr32[3];
  return ip6->nexthdr == IPPROTO_TCP ? tcp : NULL;
}

SEC("tc")
int lab_spray(struct __sk_buff* skb) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  const struct lab_spray_member* member;
  __u32 count = order.count;
  __u32 source, chosen;
  struct tcphdr* tcp = tcp_of(data, end, &source);

  if (!tcp || count == 0 || tcp->dest != bpf_htons(80))
    return TC_ACT_OK;
  chosen = ((source ^ (__u32)tcp->source << 16) * 0x9e3779b1u >> 8) + (tcp->syn ? 0 : 1);
  chosen = chosen % count & (LAB_SPRAY_MEMBERS - 1);
  member = &order.members[chosen];
  __sync_fetch_and_add(&sprayed[chosen], 1);
  if (member->interface == 0)
    return TC_ACT_OK;
  __builtin_memcpy(((struct ethhdr*)data)->h_dest, member->to, ETH_ALEN);
  __builtin_memcpy(((struct ethhdr*)data)->h_source, member->from, ETH_ALEN);
  return (int)bpf_redirect(member->interface, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
