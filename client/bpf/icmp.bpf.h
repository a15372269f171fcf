/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP errors about redirected connections are translated for the stack, and on their way out for
 * the service, so that path MTU discovery works both ways and a dead end is found at once. */
#pragma once

#include "client/bpf/pending.bpf.h"
#include "client/bpf/retry.bpf.h"
#define TRAP_PROGRAM_CONTEXT struct __sk_buff
#include "dataplane/bpf/find_behind.bpf.h"
#include "dataplane/icmp.h"

/* An error, with the packet that it quotes as trap_read_quoted reads it; offsets are in the frame.
 */
struct icmp_error {
  struct trap_packet quoted;
  __u32 offset; /* of the ICMP header */
  __u8 type;
  __u8 code;
};

/* Outer and quoted headers in full, with options and one extension header. */
static __always_inline void pull_icmp(struct __sk_buff* skb) {
  __u32 wanted = 2 * ETH_HLEN + 60 + TRAP_ICMP_HEADER_BYTES + 60 + TRAP_TCP_HEADER_BYTES;
  __u64 linear = (__u64)skb->data_end - (__u64)skb->data;

  if (linear < wanted && linear < skb->len)
    bpf_skb_pull_data(skb, skb->len < wanted ? skb->len : wanted);
}

/* The type in front of the IP header, behind any tags; 0 if the frame ends before it. */
static __always_inline __be16 ethernet_type(const struct __sk_buff* skb, __u32 l3_offset) {
  const void* end = (const void*)(long)skb->data_end;
  const __u8* at = (const __u8*)(long)skb->data + ((l3_offset - 2) & 0x1f);

  TRAP_HOLD(at);
  return (const void*)(at + 2) <= end ? *(const __be16*)at : 0;
}

static __always_inline __u32 family_by_version(__u8 first_byte) {
  return first_byte >> 4 == 4 ? TRAP_IPV4 : first_byte >> 4 == 6 ? TRAP_IPV6 : 0;
}

/* The ICMP message behind the IP header at l3_offset, NULL if there is none. */
static __always_inline const __u8* find_message(struct __sk_buff* skb, __u32 l3_offset,
                                                enum trap_framing framing, __u32* family) {
  const void* end = (const void*)(long)skb->data_end;
  const __u8* l3 = (const __u8*)(long)skb->data + (l3_offset & 0x1f);
  const __u8* icmp;

  if ((const void*)(l3 + 1) > end)
    return NULL;
  *family = framing == TRAP_FRAMING_ETHERNET ? trap_ip_family(ethernet_type(skb, l3_offset), l3[0])
                                             : family_by_version(l3[0]);
  if (!*family)
    return NULL;
  icmp = trap_find_icmp(l3, end, *family, header_behind(skb, *family, l3_offset, IPPROTO_ICMPV6));
  return icmp && (const void*)(icmp + TRAP_ICMP_HEADER_BYTES) <= end ? icmp : NULL;
}

/* 0 if the frame is no ICMP error about a TCP segment. A function by itself: the walk goes on in
 * one way behind it. */
TRAP_GLOBAL_FUNCTION int read_icmp_error(struct __sk_buff* skb, __u32 l3_offset,
                                         enum trap_framing framing, struct icmp_error* error) {
  const __u8* icmp;
  __u64 offset, quoted;
  __u32 family;

  if (!error || !find_message(skb, l3_offset, framing, &family))
    return 0;
  pull_icmp(skb);
  icmp = find_message(skb, l3_offset, framing, &family);
  if (!icmp || (family == TRAP_IPV4 ? trap_icmpv4_kind(icmp[0]) : trap_icmpv6_kind(icmp[0])) !=
                   TRAP_ICMP_ERROR)
    return 0;
  offset = (__u64)icmp - (__u64)skb->data;
  TRAP_HOLD(offset);
  quoted = offset + TRAP_ICMP_HEADER_BYTES;
  if (!trap_read_quoted(&error->quoted, icmp + TRAP_ICMP_HEADER_BYTES,
                        (const void*)(long)skb->data_end, family,
                        header_behind(skb, family, quoted, IPPROTO_TCP)))
    return 0;
  error->offset = (__u32)offset;
  error->type = icmp[0];
  error->code = icmp[1];
  error->quoted.l3_offset = (__u16)quoted;
  error->quoted.l4_offset += error->quoted.l3_offset;
  return 1;
}

/* A packet was too large for a router's next link: the connection goes on with smaller ones. */
static __always_inline int says_too_big(const struct icmp_error* error) {
  return error->quoted.family == TRAP_IPV4 ? error->type == 3 && error->code == 4
                                           : error->type == 2;
}

#define TRAP_ICMPV4_CODES_OF_BACKEND 0x27cfu /* a bit for each: 0 to 3, 6 to 10, 13 */
#define TRAP_ICMPV6_CODES_OF_BACKEND 0x7fu   /* 0 to 6 */

/* Does an error in answer to a SYN say that other SYNs of this host would not get there either? A
 * destination that is unreachable is so for all, and so is one behind a loop of routers, since a
 * SYN of few hops is not led (is_bound_to_its_way()). Of this SYN's own are: its DSCP, its source
 * route, and whatever a router could not read. */
static __always_inline int blames_backend(const struct icmp_error* error) {
  if (error->quoted.family == TRAP_IPV4)
    return (error->type == 3 && error->code < 16 &&
            TRAP_ICMPV4_CODES_OF_BACKEND >> error->code & 1) ||
           (error->type == 11 && error->code == 0);
  return (error->type == 1 && error->code < 16 &&
          TRAP_ICMPV6_CODES_OF_BACKEND >> error->code & 1) ||
         (error->type == 3 && error->code == 0);
}

static __always_inline __u32 checksum_offset(const struct icmp_error* error) {
  return error->offset + 2;
}

/* bpf_l3_csum_replace corrects all sums below, because it only calculates: a card's sum over the
 * whole packet stays right, since the message's own checksum makes up for every change behind it.
 */
static __always_inline int
replace_quoted_address(struct __sk_buff* skb, const struct icmp_error* error, enum trap_end which,
                       const union trap_address* from, const union trap_address* to) {
  __u32 l3_offset = error->quoted.l3_offset;
  __s64 difference;

  if (error->quoted.family == TRAP_IPV4) /* the quoted header's checksum makes up for it */
    return bpf_l3_csum_replace(skb, l3_offset + 10, from->be32[3], to->be32[3], 4) ||
           bpf_skb_store_bytes(skb, l3_offset + (which == TRAP_SOURCE ? 12 : 16), &to->be32[3], 4,
                               0);
  difference = bpf_csum_diff((__be32*)from, 16, (__be32*)to, 16, 0);
  return difference < 0 || bpf_l3_csum_replace(skb, checksum_offset(error), 0, difference, 0) ||
         bpf_skb_store_bytes(skb, l3_offset + (which == TRAP_SOURCE ? 8 : 24), to, 16, 0);
}

static __always_inline int replace_quoted_port(struct __sk_buff* skb,
                                               const struct icmp_error* error, enum trap_end which,
                                               __be16 from, __be16 to) {
  return bpf_l3_csum_replace(skb, checksum_offset(error), from, to, 2) ||
         bpf_skb_store_bytes(skb, error->quoted.l4_offset + (which == TRAP_SOURCE ? 0 : 2), &to, 2,
                             0);
}

/* Corrects the checksum of the quoted segment, if it is quoted: routers may send the first eight
 * bytes only. */
static __always_inline int mend_quoted_checksum(struct __sk_buff* skb,
                                                const struct icmp_error* error,
                                                const union trap_address* from, __be16 from_port,
                                                const union trap_address* to, __be16 to_port) {
  __u32 at = error->quoted.l4_offset + TRAP_TCP_CHECKSUM_OFFSET;
  __s64 difference = bpf_csum_diff((__be32*)from, 16, (__be32*)to, 16, 0);
  __be16 before, after;

  if (bpf_skb_load_bytes(skb, at, &before, 2))
    return 0;
  return difference < 0 || bpf_l3_csum_replace(skb, at, 0, difference, 0) ||
         bpf_l3_csum_replace(skb, at, from_port, to_port, 2) ||
         bpf_skb_load_bytes(skb, at, &after, 2) ||
         bpf_l3_csum_replace(skb, checksum_offset(error), before, after, 2);
}

/* Replaces, in the quoted packet, the local port by the other port of the lane. */
static __always_inline int replace_quoted_lane(struct __sk_buff* skb,
                                               const struct icmp_error* error, enum trap_end local,
                                               __be16 from, __u32 flow_flags) {
  __u32 lane = trap_lane(flow_flags);
  __be16 to = trap_lane_port(from, lane);
  const union trap_address none = {};

  return lane && (replace_quoted_port(skb, error, local, from, to) ||
                  mend_quoted_checksum(skb, error, &none, from, &none, to));
}

/* Replaces, in the quoted packet, the end of the connection that is not this host's. */
static __always_inline int replace_quoted_end(struct __sk_buff* skb, const struct icmp_error* error,
                                              enum trap_end which, const union trap_address* from,
                                              __be16 from_port, const union trap_address* to,
                                              __be16 to_port) {
  return replace_quoted_address(skb, error, which, from, to) ||
         replace_quoted_port(skb, error, which, from_port, to_port) ||
         mend_quoted_checksum(skb, error, from, from_port, to, to_port);
}

/* Replaces the same end in the packet itself, unless its sender or addressee is a router. */
static __always_inline int replace_outer_end(struct __sk_buff* skb,
                                             const struct packet_context* context,
                                             const struct icmp_error* error, enum trap_end which,
                                             const union trap_address* from,
                                             const union trap_address* to) {
  __u32 l3_offset = context->packet.l3_offset;
  union trap_address outer = {};
  __s64 difference;

  if (error->quoted.family == TRAP_IPV4) {
    __u32 at = l3_offset + (which == TRAP_SOURCE ? 12 : 16);

    if (bpf_skb_load_bytes(skb, at, &outer.be32[3], 4) || outer.be32[3] != from->be32[3])
      return 0;
    return bpf_l3_csum_replace(skb, l3_offset + 10, from->be32[3], to->be32[3], 4) ||
           bpf_skb_store_bytes(skb, at, &to->be32[3], 4, 0);
  }
  l3_offset += which == TRAP_SOURCE ? 8 : 24;
  if (bpf_skb_load_bytes(skb, l3_offset, &outer, 16) || !trap_address_equal(&outer, from))
    return 0;
  difference = bpf_csum_diff((__be32*)from, 16, (__be32*)to, 16, 0);
  return difference < 0 ||
         bpf_l4_csum_replace(skb, checksum_offset(error), 0, difference, BPF_F_PSEUDO_HDR) ||
         bpf_skb_store_bytes(skb, l3_offset, to, 16, BPF_F_RECOMPUTE_CSUM);
}

/* Is the error about the SYN of a connect that was not answered yet? A stack would give the connect
 * up. The ISN in the error proves that it is not forged. */
static __always_inline int ends_connect(struct __sk_buff* skb, const struct icmp_error* error,
                                        const struct trap_pending* syn) {
  __be32 seq;

  return syn && syn->state == TRAP_REDIRECTED && !says_too_big(error) &&
         !bpf_skb_load_bytes(skb, error->quoted.l4_offset + 4, &seq, 4) && seq == syn->isn;
}

static __always_inline TRAP_MUST_USE enum trap_verdict
translate_incoming_icmp(struct __sk_buff* skb, struct packet_context* context,
                        struct icmp_error* error) {
  struct scratch* memory = find_scratch();
  const struct trap_inward* inward;
  struct trap_pending* syn;
  enum trap_verdict verdict;

  if (!memory)
    return TRAP_PASS_OTHER;
  memory->wire = incoming_tuple(&error->quoted, context->side);
  if (!find_inward(skb, &memory->wire, error->quoted.family, &memory->inward))
    return TRAP_PASS_OTHER;
  inward = &memory->inward;
  memory->tuple = socket_side_tuple(&memory->wire, inward);
  syn = find_pending(&memory->tuple);
  if (ends_connect(skb, error, syn)) {
    context->packet.family = error->quoted.family;
    if (ask_again(skb, context, syn, blames_backend(error), &verdict) == TRAP_WALK_ENDS)
      return verdict;
  }
  if (replace_quoted_end(skb, error, TRAP_DESTINATION, &error->quoted.source,
                         error->quoted.source_port, &inward->service, inward->port) ||
      replace_quoted_lane(skb, error, TRAP_SOURCE, memory->wire.local_port, inward->flags) ||
      replace_outer_end(skb, context, error, TRAP_SOURCE, &error->quoted.source, &inward->service))
    return TRAP_DROP_INTERNAL;
  return TRAP_PASS_ICMP_TRANSLATED;
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_incoming_icmp(struct __sk_buff* skb, struct packet_context* context) {
  struct icmp_error error = {};

  return read_icmp_error(skb, context->packet.l3_offset, context->framing, &error)
             ? translate_incoming_icmp(skb, context, &error)
             : TRAP_PASS_OTHER;
}

/* An error that this host, or one behind it, sends about a segment of the service. */
static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_outgoing_icmp(struct __sk_buff* skb, struct packet_context* context) {
  struct icmp_error error = {};
  struct trap_outward outward;
  struct trap_tuple tuple;

  if (!read_icmp_error(skb, context->packet.l3_offset, context->framing, &error))
    return TRAP_PASS_OTHER;
  tuple = outgoing_tuple(&error.quoted, context->side);
  if (!find_outward(skb, &error.quoted, &tuple,
                    &outward) && /* the message is no segment of the connection's socket */
      !read_from_socket(skb, error.quoted.family, &tuple.remote, tuple.remote_port, &tuple.local,
                        tuple.local_port, &outward))
    return TRAP_PASS_OTHER;
  if (replace_quoted_end(skb, &error, TRAP_SOURCE, &tuple.remote, tuple.remote_port,
                         &outward.backend, outward.port) ||
      replace_quoted_lane(skb, &error, TRAP_DESTINATION, tuple.local_port, outward.flags) ||
      replace_outer_end(skb, context, &error, TRAP_DESTINATION, &tuple.remote, &outward.backend))
    return TRAP_DROP_INTERNAL;
  if (is_via_neighbour(context, &outward))
    context->action = (int)bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
  return TRAP_PASS_ICMP_TRANSLATED;
}
