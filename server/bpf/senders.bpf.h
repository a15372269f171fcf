/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A sample of clients and of the neighbours that their frames come from. Answers go back there,
 * unless the daemon has found that the routing table has another next hop for such clients
 * (server/daemon/watch/return_ways.h). */
#pragma once

#include "dataplane/bpf/explain.bpf.h"
#include "server/bpf/hook.bpf.h"
#include "server/bpf/packet_context.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_SENDERS);
  __type(key, __u32);
  __type(value, struct trap_sender);
} senders SEC(".maps");

static __always_inline int write_sender_of(struct hook hook, const struct trap_packet* packet,
                                           __u32 slot, __u32 place) {
  const __u8* data = hook_data(hook);
  const void* end = hook_end(hook);
  struct trap_sender* sender = bpf_map_lookup_elem(&senders, &place);

  if (!packet || !sender || (const void*)(data + ETH_HLEN) > end ||
      __sync_val_compare_and_swap(&sender->state, TRAP_SENDER_FREE, TRAP_SENDER_WRITTEN) !=
          TRAP_SENDER_FREE)
    return 0;
  sender->client = packet->source;
  sender->slot = (__u16)slot;
  sender->interface_index = hook_interface(hook);
  __builtin_memcpy(sender->mac, data + ETH_ALEN, ETH_ALEN);
  __sync_val_compare_and_swap(&sender->state, TRAP_SENDER_WRITTEN, TRAP_SENDER_TOLD);
  return 1;
}

/* The daemon makes eight places of each kind free in a second, so that a flood writes no more. */
TRAP_GLOBAL_FUNCTION int write_sender(struct xdp_md* ctx, const struct trap_packet* packet,
                                      __u32 slot, __u32 place) {
  return write_sender_of(at_xdp(ctx), packet, slot, place);
}

TRAP_GLOBAL_FUNCTION int write_sender_at_tc(struct __sk_buff* skb, const struct trap_packet* packet,
                                            __u32 slot, __u32 place) {
  return write_sender_of(at_tc(skb), packet, slot, place);
}

/* Before the frame is changed. */
static __always_inline void sample_sender(struct hook hook, const struct packet_context* context,
                                          enum trap_verdict verdict) {
  __u32 place = context->packet.seq & (TRAP_SENDERS / 2 - 1);
  const struct trap_sender* sender;

  if (explaining)
    return;
  if (verdict == TRAP_PASS_HANDSHAKE || verdict == TRAP_PASS_COOKIE ||
      verdict == TRAP_REPLY_REDIRECT)
    place += TRAP_SENDERS / 2; /* of clients that completed a handshake */
  else if (verdict != TRAP_REPLY_SYN_ACK)
    return;
  sender = bpf_map_lookup_elem(&senders, &place);
  if (!sender || sender->state != TRAP_SENDER_FREE)
    return;
  if (hook.is_tc)
    write_sender_at_tc(hook.context, &context->packet, context->slot, place);
  else
    write_sender(hook.context, &context->packet, context->slot, place);
}

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_NEXT_HOPS);
  __type(key, __u32);
  __type(value, struct trap_next_hop);
} next_hops SEC(".maps");

static __always_inline int is_same_mac(const __u8* one, const __u8* other) {
  __u32 difference = 0;

  for (int i = 0; i < ETH_ALEN; i++)
    difference |= one[i] ^ other[i];
  return !difference;
}

/* Addresses an answer, which goes to the neighbour that the request came from, to its next hop. */
TRAP_GLOBAL_FUNCTION int lead_to_next_hop(struct xdp_md* ctx) {
  __u8* data = (__u8*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;

  if ((const void*)(data + ETH_HLEN) > end)
    return 0;
  for (__u32 i = 0; i < TRAP_NEXT_HOPS; i++) {
    __u32 at = i;
    const struct trap_next_hop* hop = bpf_map_lookup_elem(&next_hops, &at);

    if (!hop || hop->interface_index != ctx->ingress_ifindex || !is_same_mac(hop->from, data))
      continue;
    __builtin_memcpy(data, hop->to, ETH_ALEN);
    return 1;
  }
  return 0;
}

/* The same at tc, where the frame is not written to in place. */
TRAP_GLOBAL_FUNCTION int lead_to_next_hop_at_tc(struct __sk_buff* skb) {
  __u8 to[ETH_ALEN] = {};

  if (bpf_skb_load_bytes(skb, 0, to, sizeof(to)))
    return 0;
  for (__u32 i = 0; i < TRAP_NEXT_HOPS; i++) {
    __u32 at = i;
    const struct trap_next_hop* hop = bpf_map_lookup_elem(&next_hops, &at);

    if (!hop || hop->interface_index != skb->ifindex || !is_same_mac(hop->from, to))
      continue;
    __builtin_memcpy(to, hop->to, sizeof(to));
    bpf_skb_store_bytes(skb, 0, to, sizeof(to), 0);
    return 1;
  }
  return 0;
}
