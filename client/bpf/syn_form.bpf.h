/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The options of an application's SYN. A signature (TCP-MD5, TCP-AO) is right for the
 * addresses that the application dialled alone. Options of features that a network may take out of
 * a SYN, such as a cookie of TCP Fast Open, make room for a ticket. */
#pragma once

#include "client/bpf/scratch.bpf.h"
#include "client/bpf/ticket_option.bpf.h"
#include "dataplane/syn_options.h"

/* Is it an option without which a connection is a worse one? */
static __always_inline int is_plain_option(__u8 kind) {
  return kind == TRAP_TCPOPT_NOP || kind == TRAP_TCPOPT_MSS || kind == TRAP_TCPOPT_WINDOW_SCALE ||
         kind == TRAP_TCPOPT_SACK_PERMITTED || kind == TRAP_TCPOPT_TIMESTAMPS;
}

/* One step of the walk; counts in memory->plain_bytes. 0 when it is over, or a signature was met.
 * A function by itself, because the verifier would follow each step for every step before it. */
TRAP_GLOBAL_FUNCTION int step_over_syn_option(void) {
  struct scratch* memory = find_scratch();
  struct trap_option_area* area;
  __u32 offset;

  if (!memory)
    return 0;
  area = &memory->area;
  offset = area->cursor;
  if (offset >= TRAP_TCP_OPTIONS_MAX || offset >= area->used)
    return 0;
  if (trap_is_signature(area->bytes[offset])) {
    memory->is_signed = 1;
    return 0;
  }
  if (!is_plain_option(area->bytes[offset]))
    memory->is_plain = 0;
  if (!trap_walk_step(area))
    return 0;
  if (memory->is_plain && !(area->cursor % 4))
    memory->plain_bytes = area->cursor;
  return 1;
}

/* Reads the options of the SYN on its walk into memory->area, memory->plain_bytes (whole words from
 * the first on) and memory->is_signed. */
TRAP_GLOBAL_FUNCTION int read_syn_options(struct __sk_buff* skb) {
  struct scratch* memory = find_scratch();
  const struct trap_packet* packet;
  struct trap_option_area* area;

  if (!memory)
    return 0;
  packet = &memory->packet_context.packet;
  area = &memory->area;
  trap_copy_options(area, trap_l4(packet, (const void*)(long)skb->data),
                    (const void*)(long)skb->data_end, packet->header_bytes, packet->family);
  memory->is_signed = 0;
  memory->is_plain = 1;
  memory->plain_bytes = 0;
  area->cursor = 0;
  area->found = TRAP_FOUND_NONE;
  if (area->used == TRAP_LINUX_OPTION_BYTES && trap_are_linux_options(area->bytes)) {
    memory->plain_bytes = TRAP_LINUX_OPTION_BYTES;
    return 0;
  }
  for (int i = 0; i < TRAP_TCP_OPTIONS_MAX; i++) {
    if (!step_over_syn_option())
      break;
  }
  return 0;
}

/* How many bytes of the remembered options stay beside a ticket: all of them, if there is room. */
static __always_inline __u32 kept_option_bytes(const struct trap_pending* syn,
                                               __u16 redirect_flags) {
  return syn->plain_bytes &&
                 syn->option_bytes + ticket_block_bytes(redirect_flags) > TRAP_TCP_OPTIONS_MAX
             ? syn->plain_bytes
             : syn->option_bytes;
}

static __always_inline int has_room_for_ticket(const struct trap_pending* syn,
                                               __u16 redirect_flags) {
  return kept_option_bytes(syn, redirect_flags) + ticket_block_bytes(redirect_flags) <=
         TRAP_TCP_OPTIONS_MAX;
}
