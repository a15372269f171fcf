/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Orders for the replay programs: the frame to restore before each run, and the fields to vary. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"
#include "protocol/siphash.h"

#define TRAP_REPLAY_FRAME_MAX 256

enum trap_replay_vary {
  TRAP_REPLAY_SAME = 0,
  TRAP_REPLAY_SOURCES =
      1, /* another source address, source port, seq and ack each time, with right checksums */
  TRAP_REPLAY_PORTS = 2,   /* another source port each time; checksums left as they are */
  TRAP_REPLAY_MEMBERS = 3, /* one of so many clients to one of so many services each time, drawn
                              anew, and another seq; TCP checksums left */
  TRAP_REPLAY_NUMBERS = 4, /* another seq and ack each time, with right checksums */
};

struct trap_replay_order {
  __u64 words[TRAP_REPLAY_FRAME_MAX / 8]; /* the frame; TRAP_REPLAY_SOURCES and _NUMBERS need zeros
                                             in the fields that they vary */
  __u64 number;                           /* of runs so far; each gives another packet */
  __u32 bytes;
  __u32 vary; /* enum trap_replay_vary */
  __u32 l3_offset;
  __u32 l4_offset;
  __u32 family; /* 4 or 6 */
  /* TRAP_REPLAY_MEMBERS: the frame has the first of each; 0 and 1 leave it. */
  __u32 sources;
  __u32 source_shift; /* from one source to the next: in the IPv4 address, or the second word of the
                         IPv6 address */
  __u32 destinations; /* one after the other, in the last word of the address */
  __u32 ports;        /* of destinations */
  __u32 has_cookie;   /* ack is a right cookie's, by these: */
  struct trap_key cookie_key;
  __u32 cookie_window;
  __u32 reserved;
};

TRAP_ASSERT(sizeof(struct trap_replay_order) == TRAP_REPLAY_FRAME_MAX + 88, "shared through a map");
