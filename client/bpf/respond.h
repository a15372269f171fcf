/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Turns a packet that came in into one that goes out: the ACK with ACCEPT, and the application's SYN sent again. Headers are written afresh
 * with full checksums; the neighbour table finds the next hop. */
#ifndef TRAP_CLIENT_BPF_RESPOND_H
#define TRAP_CLIENT_BPF_RESPOND_H

#include "client/bpf/hook.h"
#include "dataplane/checksum.h"

struct outgoing {
  union trap_address source;
  union trap_address destination;
  __u8 traffic_class;
  __u8 hop_limit;
  __u8 family;
  __u8 option_bytes; /* whole words, 0 to 40 */
  struct {
    struct trap_tcp header;                  /* data offset and checksum are filled in when it is sent */
    __u32 options[TRAP_TCP_OPTIONS_MAX / 4]; /* zero behind option_bytes */
  } tcp;
};

TRAP_ASSERT(sizeof(((struct outgoing*)0)->tcp) == 60, "a whole TCP header");

/* Beside the option area these do not fit on the 512 bytes of a BPF stack. Nothing in it outlives a packet. */
struct scratchpad {
  struct outgoing out;
  struct trap_redirect redirect; /* that the packet brings */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratchpad);
} scratch SEC(".maps");

/* NULL cannot happen. */
static __always_inline struct scratchpad* take_scratchpad(void) {
  __u32 zero = 0;

  return bpf_map_lookup_elem(&scratch, &zero);
}

/* An answer to the packet at hand: zeroed, from its destination to its source, with the remembered SYN's looks. NULL cannot happen. */
static __always_inline struct outgoing* begin_outgoing(const struct trap_packet* packet, const struct trap_pending* syn) {
  struct scratchpad* pad = take_scratchpad();
  struct outgoing* out;

  if (!pad)
    return NULL;
  out = &pad->out;
  __builtin_memset(out, 0, sizeof(*out));
  out->source = packet->destination;
  out->destination = packet->source;
  out->traffic_class = syn->traffic_class;
  out->hop_limit = syn->hop_limit;
  out->family = packet->family;
  out->tcp.header.source_port = packet->destination_port;
  out->tcp.header.destination_port = packet->source_port;
  out->tcp.header.window = syn->window;
  return out;
}

static __always_inline int store_ipv4(struct __sk_buff* skb, __u32 offset, const struct outgoing* out, __u32 tcp_bytes) {
  struct iphdr ip = {
      .tos = out->traffic_class,
      .tot_len = TRAP_BE16(sizeof(ip) + tcp_bytes),
      .frag_off = TRAP_BE16(0x4000),
      .ttl = out->hop_limit,
      .protocol = IPPROTO_TCP,
      .saddr = out->source.be32[3],
      .daddr = out->destination.be32[3],
  };
  const __u32* words = (const __u32*)&ip;

  *(__u8*)&ip = 0x45;
  ip.check = trap_sum_fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]);
  return bpf_skb_store_bytes(skb, offset, &ip, sizeof(ip), 0);
}

static __always_inline int store_ipv6(struct __sk_buff* skb, __u32 offset, const struct outgoing* out, __u32 tcp_bytes) {
  struct ipv6hdr ip = {.payload_len = TRAP_BE16(tcp_bytes), .nexthdr = IPPROTO_TCP, .hop_limit = out->hop_limit};

  *(__be32*)&ip = TRAP_BE32(0x60000000 | (__u32)out->traffic_class << 20);
  __builtin_memcpy(&ip.saddr, &out->source, 16);
  __builtin_memcpy(&ip.daddr, &out->destination, 16);
  return bpf_skb_store_bytes(skb, offset, &ip, sizeof(ip), 0);
}

static __always_inline void finish_tcp(struct outgoing* out, __u32 tcp_bytes) {
  const __u32* words = (const __u32*)&out->tcp;
  __u64 sum = trap_sum_pseudo(&out->source, &out->destination, out->family, tcp_bytes);

  out->tcp.header.data_offset = (__u8)(tcp_bytes / 4 << 4);
  out->tcp.header.checksum = 0;
#pragma unroll
  for (int i = 0; i < 15; i++)
    sum += words[i];
  out->tcp.header.checksum = trap_sum_fold(sum);
}

/* Makes skb, a packet that came in with its IP header at request->l3_offset, the packet `out` and sends it where it is routed.
 * Sets e->action. Returns `success`, or DROP_INTERNAL. */
static __always_inline enum trap_verdict send_outgoing(struct __sk_buff* skb, struct encounter* e, struct outgoing* out,
                                                       enum trap_verdict success) {
  __u32 ip_bytes = out->family == TRAP_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  __u64 tcp_bytes = TRAP_TCP_HEADER_BYTES + out->option_bytes;
  __u32 l3_offset = e->packet.l3_offset;

  TRAP_HOLD(tcp_bytes);
  if (tcp_bytes > sizeof(out->tcp))
    return TRAP_DROP_INTERNAL;
  TRAP_HOLD(tcp_bytes); /* not the copy on the stack that was not compared */
  finish_tcp(out, tcp_bytes);
  if (bpf_skb_change_tail(skb, l3_offset + ip_bytes + tcp_bytes, 0))
    return TRAP_DROP_INTERNAL;
  if (out->family == TRAP_IPV4 ? store_ipv4(skb, l3_offset, out, tcp_bytes) : store_ipv6(skb, l3_offset, out, tcp_bytes))
    return TRAP_DROP_INTERNAL;
  if (bpf_skb_store_bytes(skb, l3_offset + ip_bytes, &out->tcp, tcp_bytes, 0))
    return TRAP_DROP_INTERNAL;
  return send_answer(skb, e) ? TRAP_DROP_INTERNAL : success;
}

#endif
