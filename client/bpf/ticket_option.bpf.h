/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TICKET option: the block that holds it, and its place as the last option of a SYN that a
 * stack made (protocol/wire.h). */
#pragma once

#include "client/bpf/scratch.bpf.h"
#include "client/bpf/translate.bpf.h"
#include "dataplane/syn_options.h"

union ticket_block {
  __u8 bytes[TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL];
  __u32 words[TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL / 4];
};

static __always_inline __u32 ticket_block_bytes(__u16 redirect_flags) {
  return trap_ticket_block_bytes(redirect_flags & TRAP_REDIRECT_EXPERIMENTAL);
}

/* The option at the end of the block, behind NOPs. */
static __always_inline void make_ticket_block(union ticket_block* block,
                                              const struct trap_redirect* redirect) {
  struct trap_ticket_body body = {.ticket = redirect->ticket};

  __builtin_memset(block, TRAP_TCPOPT_NOP, sizeof(*block));
  if (redirect->flags & TRAP_REDIRECT_EXPERIMENTAL) {
    __u8* at = block->bytes + trap_last_ticket_offset(TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL, 1);

    at += trap_put_header(at, TRAP_TICKET, sizeof(body), 1);
    __builtin_memcpy(at, &body, sizeof(body));
  } else {
    trap_put_header(block->bytes, TRAP_TICKET, sizeof(body), 0);
    __builtin_memcpy(block->bytes + TRAP_HEADER_BYTES, &body, sizeof(body));
  }
}

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

/* Is there room for the ticket behind the options? A SYN with data (TCP Fast Open) has its data
 * there. */
static __always_inline int has_room_for_ticket(const struct __sk_buff* skb,
                                               const struct trap_packet* packet,
                                               __u32 block_bytes) {
  return packet->header_bytes + block_bytes <= TRAP_TCP_HEADER_BYTES + TRAP_TCP_OPTIONS_MAX &&
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

/* NOPs in place of the EOL that ends the options, and of all behind it: else the TICKET that is
 * appended is no option (RFC 9293 3.1). Linux pads with NOPs, and most others with EOL. The area
 * holds the SYN's options. 0 on success. */
static TRAP_SUBPROGRAM int open_options(struct __sk_buff* skb, const struct trap_packet* packet,
                                        struct trap_option_area* area) {
  __be32* words = (__be32*)area->bytes;
  __u64 bytes = area->used;
  __s64 sum;

  if (bytes == TRAP_LINUX_OPTION_BYTES && trap_are_linux_options(area->bytes))
    return 0;
  if (trap_walk_options(area) == TRAP_FOUND_MALFORMED || area->cursor >= area->used)
    return 0; /* no option is read behind it, or none ends the list */
  sum = bpf_csum_diff(words, TRAP_TCP_OPTIONS_MAX, NULL, 0, 0);
  blank_options(area);
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

/* Appends the redirect's TICKET to the SYN in skb, whose options are in the scratch memory's area;
 * the caller has checked has_room_for_ticket. 0 on success. */
static __always_inline int append_ticket(struct __sk_buff* skb, const struct trap_packet* packet,
                                         const struct trap_redirect* redirect) {
  __u32 block_bytes = ticket_block_bytes(redirect->flags);
  __u32 checksum_offset = packet->l4_offset + TRAP_TCP_CHECKSUM_OFFSET;
  __u32 tcp_bytes = packet->l3_end - packet->l4_offset;
  __be16 from = TRAP_BE16(packet->header_bytes / 4 << 12 | packet->flags);
  __be16 to = TRAP_BE16((packet->header_bytes + block_bytes) / 4 << 12 | packet->flags);
  struct scratch* memory = find_scratch();
  union ticket_block block;
  __s64 sum;

  if (!memory || open_options(skb, packet, &memory->area))
    return -1;
  make_ticket_block(&block, redirect);
  if (block_bytes == TRAP_TICKET_BLOCK_BYTES)
    sum = bpf_csum_diff(NULL, 0, block.words, TRAP_TICKET_BLOCK_BYTES, 0);
  else
    sum = bpf_csum_diff(NULL, 0, block.words, TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL, 0);
  if (sum < 0 || bpf_skb_change_tail(skb, skb->len + block_bytes, 0))
    return -1;
  if (bpf_skb_store_bytes(skb, packet->l4_offset + packet->header_bytes, block.bytes, block_bytes,
                          0))
    return -1;
  return bpf_l4_csum_replace(skb, checksum_offset, 0, sum, 0) ||
         bpf_l4_csum_replace(skb, checksum_offset, from, to, 2) ||
         bpf_l4_csum_replace(skb, checksum_offset, TRAP_BE16(tcp_bytes),
                             TRAP_BE16(tcp_bytes + block_bytes), BPF_F_PSEUDO_HDR | 2) ||
         bpf_skb_store_bytes(skb, packet->l4_offset + 12, &to, 2, 0) ||
         grow_ip_length(skb, packet, block_bytes);
}
