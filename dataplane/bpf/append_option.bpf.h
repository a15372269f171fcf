/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Appends options to a SYN or SYN-ACK that a stack made, at tc. The kernel's helpers keep checksums
 * right in every state of offloading: complete, partial (TSO, GSO) or verified by the card. */
#pragma once

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/options.h"

#define TRAP_TCP_CHECKSUM_OFFSET 16

/* Adds `more` to the length in the IP header. 0 on success. */
static __always_inline int grow_ip_length(struct __sk_buff* skb, const struct trap_packet* packet,
                                          __u32 more) {
  __u32 bytes = packet->l3_end - packet->l3_offset;
  __be16 from, to;

  if (packet->family == TRAP_IPV6) {
    to = TRAP_BE16(bytes - sizeof(struct ipv6hdr) + more);
    return bpf_skb_store_bytes(skb, packet->l3_offset + 4, &to, 2, BPF_F_RECOMPUTE_CSUM);
  }
  from = TRAP_BE16(bytes);
  to = TRAP_BE16(bytes + more);
  return bpf_l3_csum_replace(skb, packet->l3_offset + 10, from, to, 2) ||
         bpf_skb_store_bytes(skb, packet->l3_offset + 2, &to, 2, 0);
}

/* Is there room behind the options for `more` bytes? A segment with data (TCP Fast Open) has its
 * data there. */
static __always_inline int has_room_for_option(const struct __sk_buff* skb,
                                               const struct trap_packet* packet, __u32 more) {
  return packet->header_bytes + more <= TRAP_TCP_HEADER_BYTES + TRAP_TCP_OPTIONS_MAX &&
         trap_payload_bytes(packet) == 0 && packet->l3_end == skb->len;
}

/* NOPs from the area's cursor on. */
TRAP_GLOBAL_FUNCTION int blank_options(struct trap_option_area* area) {
  if (!area)
    return 0;
  for (int i = 0; i < TRAP_TCP_OPTIONS_MAX; i++) {
    __u64 at = area->cursor;

    TRAP_HOLD(at);
    if (at >= TRAP_TCP_OPTIONS_MAX || at >= area->used)
      break;
    area->bytes[at] = TRAP_TCPOPT_NOP;
    area->cursor = (__u32)at + 1;
  }
  return 0;
}

/* Puts the area's options, changed in place, back into the packet. `sum` is the bpf_csum_diff()
 * that took all words of the area away before the change. 0 on success. */
static __always_inline int put_options_back(struct __sk_buff* skb, const struct trap_packet* packet,
                                            struct trap_option_area* area, __s64 sum) {
  __be32* words = (__be32*)area->bytes;
  __u64 bytes = area->used;

  sum = bpf_csum_diff(NULL, 0, words, TRAP_TCP_OPTIONS_MAX, (__wsum)sum);
  TRAP_HOLD(bytes);
  if (sum < 0 || bytes < 4)
    return -1;
  TRAP_HOLD(bytes); /* two bounds, or clang 14 compares bytes - 4 alone */
  if (bytes > TRAP_TCP_OPTIONS_MAX)
    return -1;
  return bpf_l4_csum_replace(skb, packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET, 0, sum, 0) ||
         bpf_skb_store_bytes(skb, packet->l4_offset + TRAP_TCP_HEADER_BYTES, area->bytes, bytes, 0);
}

/* NOPs in the packet from the area's cursor on, where an EOL ends its options: else an option that
 * is appended is none (RFC 9293 3.1). Linux pads with NOPs, and most others with EOL. The area
 * holds the packet's options. 0 on success. */
static __always_inline int open_option_list(struct __sk_buff* skb, const struct trap_packet* packet,
                                            struct trap_option_area* area) {
  __be32* words = (__be32*)area->bytes;
  __s64 sum = bpf_csum_diff(words, TRAP_TCP_OPTIONS_MAX, NULL, 0, 0);

  blank_options(area);
  return put_options_back(skb, packet, area, sum);
}

/* Appends a block of options, whole words, whose checksum is `sum`; the caller has checked
 * has_room_for_option(). 0 on success. */
static __always_inline int append_block(struct __sk_buff* skb, const struct trap_packet* packet,
                                        const void* block, __u32 block_bytes, __s64 sum) {
  __u32 checksum_offset = packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET;
  __u32 tcp_bytes = packet->l3_end - packet->l4_offset;
  __be16 from, to; /* data offset, the flag of accurate ECN, and the others */

  if (sum < 0 || bpf_skb_load_bytes(skb, packet->l4_offset + 12, &from, 2))
    return -1;
  to = TRAP_BE16(TRAP_FROM_BE16(from) + (block_bytes / 4 << 12));
  if (bpf_skb_change_tail(skb, skb->len + block_bytes, 0))
    return -1;
  if (bpf_skb_store_bytes(skb, packet->l4_offset + packet->header_bytes, block, block_bytes, 0))
    return -1;
  return bpf_l4_csum_replace(skb, checksum_offset, 0, sum, 0) ||
         bpf_l4_csum_replace(skb, checksum_offset, from, to, 2) ||
         bpf_l4_csum_replace(skb, checksum_offset, TRAP_BE16(tcp_bytes),
                             TRAP_BE16(tcp_bytes + block_bytes), BPF_F_PSEUDO_HDR | 2) ||
         bpf_skb_store_bytes(skb, packet->l4_offset + 12, &to, 2, 0) ||
         grow_ip_length(skb, packet, block_bytes);
}
