/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Turns a packet that came in into one that goes out: the ACK with ACCEPT, and the application's
 * SYN sent again. Headers are written afresh with full checksums; they go the way that the kernel
 * chose for the SYN. */
#pragma once

#include "client/bpf/hook.bpf.h"
#include "client/bpf/scratch.bpf.h"
#include "client/bpf/syn_form.bpf.h"
#include "client/bpf/ticket_option.bpf.h"
#include "dataplane/checksum.h"

/* Begins a packet to the address that the application dialled, with the appearance of the
 * remembered SYN; the rest is zero. NULL cannot happen. */
static __always_inline struct outgoing* begin_outgoing(const struct trap_tuple* tuple, __u8 family,
                                                       const struct trap_pending* syn) {
  struct scratch* memory = find_scratch();
  struct outgoing* out;

  if (!memory)
    return NULL;
  out = &memory->outgoing;
  __builtin_memset(out, 0, sizeof(*out));
  out->source = tuple->local;
  out->destination = tuple->remote;
  out->traffic_class = syn->traffic_class;
  out->hop_limit = syn->hop_limit;
  out->family = family;
  out->ifindex = syn->ifindex;
  out->mark = syn->mark;
  __builtin_memcpy(out->ethernet, syn->ethernet, sizeof(out->ethernet));
  out->tcp.header.source_port = tuple->local_port;
  out->tcp.header.destination_port = tuple->remote_port;
  out->tcp.header.window = syn->window;
  return out;
}

static __always_inline int store_ipv4(struct __sk_buff* skb, __u32 offset, struct outgoing* out,
                                      __u32 tcp_bytes) {
  struct iphdr* ip = &out->ip.ipv4;
  const __u32* words = (const __u32*)ip;

  __builtin_memset(ip, 0, sizeof(*ip));
  *(__u8*)ip = 0x45;
  ip->tos = out->traffic_class;
  ip->tot_len = TRAP_BE16(sizeof(*ip) + tcp_bytes);
  ip->frag_off = TRAP_BE16(0x4000);
  ip->ttl = out->hop_limit;
  ip->protocol = IPPROTO_TCP;
  ip->saddr = out->source.be32[3];
  ip->daddr = out->destination.be32[3];
  ip->check = trap_sum_fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]);
  return bpf_skb_store_bytes(skb, offset, ip, sizeof(*ip), 0);
}

static __always_inline int store_ipv6(struct __sk_buff* skb, __u32 offset, struct outgoing* out,
                                      __u32 tcp_bytes) {
  struct ipv6hdr* ip = &out->ip.ipv6;

  *(__be32*)ip = TRAP_BE32(0x60000000 | (__u32)out->traffic_class << 20);
  ip->payload_len = TRAP_BE16(tcp_bytes);
  ip->nexthdr = IPPROTO_TCP;
  ip->hop_limit = out->hop_limit;
  __builtin_memcpy(&ip->saddr, &out->source, 16);
  __builtin_memcpy(&ip->daddr, &out->destination, 16);
  return bpf_skb_store_bytes(skb, offset, ip, sizeof(*ip), 0);
}

/* The data offset beside what the caller has put into its byte, and the checksum. */
static __always_inline void finish_tcp(struct outgoing* out, __u32 tcp_bytes) {
  const __u32* words = (const __u32*)&out->tcp;
  __u64 sum = trap_sum_pseudo(&out->source, &out->destination, out->family, tcp_bytes);

  out->tcp.header.data_offset = (__u8)(tcp_bytes / 4 << 4 | out->tcp.header.data_offset);
  out->tcp.header.checksum = 0;
#pragma unroll
  for (int i = 0; i < 15; i++)
    sum += words[i];
  out->tcp.header.checksum = trap_sum_fold(sum);
}

/* Turns skb, an incoming packet with its IP header at context->packet.l3_offset, into `out`. 0 on
 * success. */
static TRAP_SUBPROGRAM int
write_outgoing(struct __sk_buff* skb, const struct packet_context* context, struct outgoing* out) {
  __u32 ip_bytes = out->family == TRAP_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  __u64 tcp_bytes = TRAP_TCP_HEADER_BYTES + out->option_bytes;
  __u32 l3_offset = context->packet.l3_offset;

  TRAP_HOLD(tcp_bytes);
  if (tcp_bytes > sizeof(out->tcp))
    return -1;
  finish_tcp(out, tcp_bytes);
  if (bpf_skb_change_tail(skb, l3_offset + ip_bytes + tcp_bytes, 0))
    return -1;
  if (out->family == TRAP_IPV4 ? store_ipv4(skb, l3_offset, out, tcp_bytes)
                               : store_ipv6(skb, l3_offset, out, tcp_bytes))
    return -1;
  return (int)bpf_skb_store_bytes(skb, l3_offset + ip_bytes, &out->tcp, tcp_bytes, 0);
}

/* Turns skb into `out` and sends it. Sets context->action. Returns `success`, or DROP_INTERNAL. */
static __always_inline TRAP_MUST_USE enum trap_verdict send_outgoing(struct __sk_buff* skb,
                                                                     struct packet_context* context,
                                                                     struct outgoing* out,
                                                                     enum trap_verdict success) {
  return write_outgoing(skb, context, out) || send_answer(skb, context, out) ? TRAP_DROP_INTERNAL
                                                                             : success;
}

/* Number and flags of the remembered SYN. */
static __always_inline void put_syn(struct outgoing* out, const struct trap_pending* syn) {
  out->tcp.header.seq = syn->isn;
  out->tcp.header.flags = syn->flags;
  out->tcp.header.data_offset = syn->connect & TRAP_CONNECT_AE ? TRAP_TCP_AE : 0;
}

static __always_inline __be32 next_seq(__be32 seq) {
  return TRAP_BE32(TRAP_FROM_BE32(seq) + 1);
}

/* Answers a SYN-ACK [OFFER] for the application, padded so that the RST that follows is not longer.
 */
static __always_inline TRAP_MUST_USE enum trap_verdict
reply_with_accept(struct __sk_buff* skb, struct packet_context* context,
                  const struct trap_tuple* tuple, const struct trap_pending* syn,
                  const struct trap_option* offer) {
  struct outgoing* out = begin_outgoing(tuple, context->packet.family, syn);

  if (!out)
    return TRAP_DROP_INTERNAL;
  out->tcp.header.seq = next_seq(syn->isn);
  out->tcp.header.ack = next_seq(context->packet.seq);
  out->tcp.header.flags = TRAP_TCP_ACK;
  out->option_bytes = context->packet.family == TRAP_IPV4 ? 24 : 36;
  if (offer->experimental) {
    out->option_bytes += 4;
    trap_put_header((__u8*)out->tcp.options, TRAP_ACCEPT, sizeof(struct trap_hello_body), 1);
  } else {
    trap_put_header((__u8*)out->tcp.options, TRAP_ACCEPT, sizeof(struct trap_hello_body), 0);
  }
  return send_outgoing(skb, context, out, TRAP_REPLY_ACCEPT);
}

/* Zeroes the options behind the first `bytes`. */
static __always_inline void cut_options(struct outgoing* out, __u32 bytes) {
#pragma unroll
  for (__u32 i = 0; i < TRAP_TCP_OPTIONS_MAX / 4; i++) {
    if (i * 4 >= bytes)
      out->tcp.options[i] = 0;
  }
}

/* Sends the application's SYN again, to the backend; with its ticket first among the options
 * (protocol/wire.h), unless there is no room or the flow is to go without. */
static __always_inline TRAP_MUST_USE enum trap_verdict
reissue_syn(struct __sk_buff* skb, struct packet_context* context, const struct trap_tuple* tuple,
            const struct trap_pending* syn, const struct trap_redirect* redirect, __u8 flow_flags) {
  struct outgoing* out = begin_outgoing(tuple, context->packet.family, syn);
  __u32 block_bytes = ticket_block_bytes(redirect->flags);
  struct scratch* memory = find_scratch();
  union ticket_block* block;

  if (!out || !memory)
    return TRAP_DROP_INTERNAL;
  block = &memory->ticket;
  out->destination = redirect->backend;
  out->tcp.header.source_port = trap_lane_port(tuple->local_port, trap_lane(flow_flags));
  out->tcp.header.destination_port = redirect->port;
  put_syn(out, syn);
  out->option_bytes = syn->option_bytes;
  out->is_to_be_routed = flow_flags & TRAP_FLOW_VIA_NEIGHBOUR;
  if (flow_flags & TRAP_FLOW_UNTICKETED) {
    __builtin_memcpy(out->tcp.options, syn->options, TRAP_TCP_OPTIONS_MAX);
    return send_outgoing(skb, context, out, TRAP_REPLY_REISSUED_SYN);
  }
  make_ticket_block(block, redirect);
  out->option_bytes = (__u8)(kept_option_bytes(syn, redirect->flags) + block_bytes);
  if (block_bytes == TRAP_TICKET_BLOCK_BYTES) {
    __builtin_memcpy(out->tcp.options, block, TRAP_TICKET_BLOCK_BYTES);
    __builtin_memcpy(out->tcp.options + 4, syn->options,
                     TRAP_TCP_OPTIONS_MAX - TRAP_TICKET_BLOCK_BYTES);
  } else {
    __builtin_memcpy(out->tcp.options, block, TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL);
    __builtin_memcpy(out->tcp.options + 5, syn->options,
                     TRAP_TCP_OPTIONS_MAX - TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL);
  }
  cut_options(out, out->option_bytes);
  return send_outgoing(skb, context, out, TRAP_REPLY_REISSUED_SYN);
}
