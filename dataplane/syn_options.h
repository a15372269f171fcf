/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A client's capabilities by the options of its SYN (RFC 9293 3.7.1, RFC 7323, RFC 2018), for a
 * SYN-ACK that serves it. An option that does not parse ends the reading, as in any stack; the ones
 * before it count. */
#pragma once

#include "dataplane/options.h"

#define TRAP_TCPOPT_MSS 2
#define TRAP_TCPOPT_WINDOW_SCALE 3
#define TRAP_TCPOPT_SACK_PERMITTED 4
#define TRAP_TCPOPT_TIMESTAMPS 8

#define TRAP_WINDOW_SCALE_MAX 14

struct trap_syn_options {
  __u16 mss; /* host byte order; valid with has_mss */
  __u8 has_mss;
  __u8 has_timestamps;
  __u8 has_window_scale;
  __u8 sack;
  __u8 window_scale; /* at most 14 */
  __be32 timestamp;  /* TSval */
  __be32 echo;       /* TSecr */
};

/* 1 if these are a Linux SYN's options. */
TRAP_INLINE int trap_read_linux_options(struct trap_syn_options* syn, const __u8* options) {
  if (!trap_are_linux_options(options))
    return 0;
  syn->mss = (__u16)TRAP_FROM_BE32(TRAP_LOAD32(options));
  syn->timestamp = TRAP_LOAD32(options + 8);
  syn->echo = TRAP_LOAD32(options + 12);
  syn->window_scale = (__u8)TRAP_FROM_BE32(TRAP_LOAD32(options + 16));
  syn->has_mss = syn->has_timestamps = syn->has_window_scale = syn->sack = 1;
  return 1;
}

/* Notes the option of `length` bytes at `at`, which the caller has checked to lie in the options.
 */
TRAP_INLINE void trap_note_syn_option(struct trap_syn_options* syn, const __u8* at, __u32 length) {
  if (at[0] == TRAP_TCPOPT_MSS && length == 4) {
    if (at[2] | at[3]) /* as Linux does: an MSS of 0 says nothing */
      syn->mss = (__u16)(at[2] << 8 | at[3]);
    syn->has_mss = 1;
  } else if (at[0] == TRAP_TCPOPT_WINDOW_SCALE && length == 3) {
    syn->window_scale = at[2];
    syn->has_window_scale = 1;
  } else if (at[0] == TRAP_TCPOPT_SACK_PERMITTED && length == 2) {
    syn->sack = 1;
  } else if (at[0] == TRAP_TCPOPT_TIMESTAMPS && length == 10) {
    __builtin_memcpy(&syn->timestamp, at + 2, 4);
    __builtin_memcpy(&syn->echo, at + 6, 4);
    syn->has_timestamps = 1;
  }
}

/* One step at area->cursor. 0 when the walk is over. */
TRAP_INLINE int trap_step_syn_options(struct trap_option_area* area, struct trap_syn_options* syn) {
  __u32 offset = area->cursor;
  const __u8* at;
  __u32 length;

  if (offset >= TRAP_TCP_OPTIONS_MAX || offset >= area->used)
    return 0;
  at = area->bytes + offset;
  if (at[0] == TRAP_TCPOPT_EOL)
    return 0;
  length = at[0] == TRAP_TCPOPT_NOP ? 1 : at[1];
  if (length < 1 || (length < 2 && at[0] != TRAP_TCPOPT_NOP) || offset + length > area->used)
    return 0;
  trap_note_syn_option(syn, at, length);
  area->cursor = offset + length;
  return 1;
}

/* Reads the options copied into *area. See TRAP_GLOBAL_FUNCTION for the form it has; returns how
 * many options it read. */
TRAP_GLOBAL_FUNCTION int trap_walk_syn_options(struct trap_option_area* area,
                                               struct trap_syn_options* syn) {
  int read = 0;

  if (!area || !syn)
    return 0;
  area->cursor = 0;
  while (read < TRAP_TCP_OPTIONS_MAX && trap_step_syn_options(area, syn))
    read++;
  return read;
}

/* The options behind the TCP header at tcp; header_bytes is 20 to 60 and was checked to lie before
 * end. */
TRAP_INLINE void trap_read_syn_options(struct trap_syn_options* syn, const void* tcp,
                                       const void* end, __u32 header_bytes) {
  const __u8* options = (const __u8*)tcp + TRAP_TCP_HEADER_BYTES;
  struct trap_option_area area;

  __builtin_memset(syn, 0, sizeof(*syn));
  if (header_bytes == TRAP_TCP_HEADER_BYTES)
    return;
  if (header_bytes == TRAP_TCP_HEADER_BYTES + TRAP_LINUX_OPTION_BYTES &&
      options + TRAP_LINUX_OPTION_BYTES <= (const __u8*)end &&
      trap_read_linux_options(syn, options)) {
    /* as most are */
  } else {
    trap_copy_options(&area, tcp, end, header_bytes, TRAP_IPV4);
    trap_walk_syn_options(&area, syn);
  }
  if (syn->window_scale > TRAP_WINDOW_SCALE_MAX)
    syn->window_scale = TRAP_WINDOW_SCALE_MAX; /* RFC 7323 2.3 */
}
