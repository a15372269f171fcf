/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The least that answers a SYN: a SYN-ACK without options, without a cookie and without any check.
 * No defence; it shows how a program is put beside TRAP in the closed loop, and what an answer
 * alone costs. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/checksum.h"
#include "dataplane/packet.h"

#define ACK_OF_A_SYN 0x12

static __always_inline void swap_ends(struct ethhdr* eth, struct trap_tcp* tcp) {
  __u8 mac[ETH_ALEN];
  __be16 port = tcp->source_port;

  __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
  __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
  tcp->source_port = tcp->destination_port;
  tcp->destination_port = port;
}

/* `addresses`: the sum over the pseudo-header. The caller cuts the options off. */
static __always_inline void turn_into_syn_ack(struct trap_tcp* tcp, __u64 addresses) {
  __u64* words = (void*)tcp;

  tcp->ack = __builtin_bswap32(__builtin_bswap32(tcp->seq) + 1);
  tcp->data_offset = 5 << 4;
  tcp->flags = ACK_OF_A_SYN;
  tcp->checksum = 0;
  tcp->urgent = 0;
  tcp->checksum =
      trap_sum_fold(addresses + trap_sum64(words[0]) + trap_sum64(words[1]) + *(__u32*)(words + 2));
}

SEC("xdp.frags")
int answer_syn(struct xdp_md* ctx) {
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = (void*)(long)ctx->data;
  struct iphdr* ip4 = (void*)(eth + 1);
  struct ipv6hdr* ip6 = (void*)(eth + 1);
  union trap_address from = {}, to = {};
  struct trap_tcp* tcp;
  __u32 bytes = (__u32)(ctx->data_end - ctx->data), answer_bytes;

  if ((void*)(ip4 + 1) > end)
    return XDP_PASS;
  if (eth->h_proto == TRAP_BE16(ETH_P_IP)) {
    tcp = (void*)(ip4 + 1);
    answer_bytes = sizeof(*eth) + sizeof(*ip4) + sizeof(*tcp);
    if (ip4->ihl != 5 || ip4->protocol != IPPROTO_TCP || (void*)(tcp + 1) > end ||
        tcp->flags != 0x02)
      return XDP_PASS;
    from.be32[3] = ip4->saddr;
    to.be32[3] = ip4->daddr;
    ip4->saddr = to.be32[3];
    ip4->daddr = from.be32[3];
    ip4->tot_len = TRAP_BE16(sizeof(*ip4) + sizeof(*tcp));
    ip4->check = 0;
    __u32* words = (void*)ip4;
    ip4->check = trap_sum_fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]);
    swap_ends(eth, tcp);
    turn_into_syn_ack(tcp, trap_sum_pseudo(&from, &to, TRAP_IPV4, sizeof(*tcp)));
  } else {
    tcp = (void*)(ip6 + 1);
    answer_bytes = sizeof(*eth) + sizeof(*ip6) + sizeof(*tcp);
    if (eth->h_proto != TRAP_BE16(ETH_P_IPV6) || (void*)(tcp + 1) > end ||
        ip6->nexthdr != IPPROTO_TCP || tcp->flags != 0x02)
      return XDP_PASS;
    __builtin_memcpy(&from, &ip6->saddr, sizeof(from));
    __builtin_memcpy(&to, &ip6->daddr, sizeof(to));
    __builtin_memcpy(&ip6->saddr, &to, sizeof(to));
    __builtin_memcpy(&ip6->daddr, &from, sizeof(from));
    ip6->payload_len = TRAP_BE16(sizeof(*tcp));
    swap_ends(eth, tcp);
    turn_into_syn_ack(tcp, trap_sum_pseudo(&from, &to, TRAP_IPV6, sizeof(*tcp)));
  }
  if (bytes > answer_bytes && bpf_xdp_adjust_tail(ctx, (int)(answer_bytes - bytes)))
    return XDP_ABORTED;
  return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
