/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* CONSENT at the end of a SYN-ACK that answers a ticket (docs/protocol.md 10). A SYN-ACK that has
 * no room for it, or whose options are signed, leaves as it is. */
#pragma once

#include "dataplane/bpf/append_option.bpf.h"
#include "protocol/consent.h"

/* One step of the walk. 0 at the end of the options, and where one was met that forbids another
 * behind it: area->found says so. */
static __always_inline int step_over_option(struct trap_option_area* area) {
  __u32 offset = area->cursor;

  if (offset < TRAP_TCP_OPTIONS_MAX && offset < area->used &&
      trap_is_signature(area->bytes[offset])) {
    area->found = offset;
    return 0;
  }
  return trap_walk_step(area) && area->found == TRAP_FOUND_NONE;
}

/* 1 if an option can follow these; area->cursor is then where the list ends. Not behind options
 * that do not parse, beside one of ours, nor where MD5 or AO sign the whole header. */
TRAP_GLOBAL_FUNCTION int can_be_continued(struct trap_option_area* area) {
  if (!area)
    return 0;
  area->cursor = 0;
  area->found = TRAP_FOUND_NONE;
  for (int i = 0; i < TRAP_TCP_OPTIONS_MAX; i++) {
    if (!step_over_option(area))
      break;
  }
  return area->found == TRAP_FOUND_NONE;
}

/* Copies the options of a packet that the caller has read. 0 on success. */
static __always_inline int load_options(struct __sk_buff* skb, const struct trap_packet* packet,
                                        struct trap_option_area* area) {
  __u64 bytes = packet->header_bytes - TRAP_TCP_HEADER_BYTES;

  __builtin_memset(area, 0, sizeof(*area));
  area->used = (__u32)bytes;
  if (bytes == 0)
    return 0;
  TRAP_HOLD(bytes);
  if (bytes > TRAP_TCP_OPTIONS_MAX)
    return -1;
  TRAP_HOLD(bytes);
  if (bytes < 4)
    return -1;
  return (int)bpf_skb_load_bytes(skb, packet->l4_offset + TRAP_TCP_HEADER_BYTES, area->bytes,
                                 bytes);
}

/* Appends CONSENT. A packet of which a helper has rewritten half is dropped: the stack repeats it.
 */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict say_consent(struct __sk_buff* skb,
                                                                 const struct trap_packet* packet,
                                                                 __u32 value, __u32 experimental) {
  struct trap_option_area area;
  union trap_consent_block block = {};
  __s64 sum;

  if (!packet)
    return TRAP_PASS_CONSENT_LEFT_OUT;
  if (!has_room_for_option(skb, packet, trap_consent_block_bytes((int)experimental)) ||
      load_options(skb, packet, &area) || !can_be_continued(&area))
    return TRAP_PASS_CONSENT_LEFT_OUT;
  if (area.cursor < area.used && open_option_list(skb, packet, &area))
    return TRAP_DROP_INTERNAL;
  if (experimental) {
    trap_put_consent(&block, value, 1);
    sum = bpf_csum_diff(NULL, 0, block.words, TRAP_CONSENT_BLOCK_BYTES_EXPERIMENTAL, 0);
    return append_block(skb, packet, block.bytes, TRAP_CONSENT_BLOCK_BYTES_EXPERIMENTAL, sum)
               ? TRAP_DROP_INTERNAL
               : TRAP_PASS_CONSENT;
  }
  trap_put_consent(&block, value, 0);
  sum = bpf_csum_diff(NULL, 0, block.words, TRAP_CONSENT_BLOCK_BYTES, 0);
  return append_block(skb, packet, block.bytes, TRAP_CONSENT_BLOCK_BYTES, sum) ? TRAP_DROP_INTERNAL
                                                                               : TRAP_PASS_CONSENT;
}
