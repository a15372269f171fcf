/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Floors for measurements: programs that do nothing at XDP or tc, and the least that drops a packet
 * or sends it back. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int empty_xdp(struct xdp_md* ctx) {
  (void)ctx;
  return XDP_PASS;
}

SEC("xdp.frags")
int drop_xdp(struct xdp_md* ctx) {
  (void)ctx;
  return XDP_DROP;
}

SEC("xdp.frags")
int send_back_xdp(struct xdp_md* ctx) {
  struct ethhdr* eth = (struct ethhdr*)(long)ctx->data;
  __u8 address[ETH_ALEN];

  if ((void*)(eth + 1) > (void*)(long)ctx->data_end)
    return XDP_ABORTED;
  __builtin_memcpy(address, eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
  __builtin_memcpy(eth->h_source, address, ETH_ALEN);
  return XDP_TX;
}

SEC("tc")
int empty_tc(struct __sk_buff* skb) {
  (void)skb;
  return TC_ACT_OK;
}

/* The bytes are written by helpers: a write in place would have the kernel copy the head of each
 * packet that is shared. */
SEC("tc")
int send_back_tc(struct __sk_buff* skb) {
  __u8 addresses[2 * ETH_ALEN], swapped[2 * ETH_ALEN];

  if (bpf_skb_load_bytes(skb, 0, addresses, sizeof(addresses)))
    return TC_ACT_SHOT;
  __builtin_memcpy(swapped, addresses + ETH_ALEN, ETH_ALEN);
  __builtin_memcpy(swapped + ETH_ALEN, addresses, ETH_ALEN);
  if (bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0))
    return TC_ACT_SHOT;
  return (int)bpf_redirect(skb->ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
