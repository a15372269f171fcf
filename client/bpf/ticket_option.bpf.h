/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TICKET option: the block that holds it, and its place as the last option of a SYN that a
 * stack made (protocol/wire.h). */
#pragma once

#include "client/bpf/scratch.bpf.h"
#include "client/bpf/translate.bpf.h"
#include "dataplane/bpf/append_option.bpf.h"
#include "dataplane/syn_options.h"

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

/* Ends the SYN's options so that one can be appended. The area holds the options. 0 on success. */
static TRAP_SUBPROGRAM int open_options(struct __sk_buff* skb, const struct trap_packet* packet,
                                        struct trap_option_area* area) {
  if (area->used == TRAP_LINUX_OPTION_BYTES && trap_are_linux_options(area->bytes))
    return 0;
  if (trap_walk_options(area) == TRAP_FOUND_MALFORMED || area->cursor >= area->used)
    return 0; /* no option is read behind it, or none ends the list */
  return open_option_list(skb, packet, area);
}

/* Appends the redirect's TICKET to the SYN in skb, whose options are in the scratch memory's area;
 * the caller has checked has_room_for_option(). 0 on success. */
static __always_inline int append_ticket(struct __sk_buff* skb, const struct trap_packet* packet,
                                         const struct trap_redirect* redirect) {
  __u32 block_bytes = ticket_block_bytes(redirect->flags);
  struct scratch* memory = find_scratch();
  union ticket_block* block;
  __s64 sum;

  if (!memory || open_options(skb, packet, &memory->area))
    return -1;
  block = &memory->ticket;
  make_ticket_block(block, redirect);
  if (block_bytes == TRAP_TICKET_BLOCK_BYTES)
    sum = bpf_csum_diff(NULL, 0, block->words, TRAP_TICKET_BLOCK_BYTES, 0);
  else
    sum = bpf_csum_diff(NULL, 0, block->words, TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL, 0);
  return append_block(skb, packet, block->bytes, block_bytes, sum);
}
