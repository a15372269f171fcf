/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by user space and the closed loop's programs: the frame to vary and send, and counts of
 * the answers. */
#pragma once

#include <linux/types.h>

#include "protocol/wire.h"

#define TRAP_FLOOD_FRAME_MAX 128
#define TRAP_FLOOD_SAMPLING 256 /* one in so many answers is looked at closely */
#define TRAP_FLOOD_TRIM 2       /* bytes that `generate` takes off the frame it is given */
/* Where a ticket begins in the TCP header: behind 20 bytes of a Linux SYN's options, as clients
 * append it. */
#define TRAP_FLOOD_TICKET_AT                                                                       \
  (trap_last_ticket_offset(TRAP_TCP_HEADER_BYTES + 20 + TRAP_TICKET_OPTION_BYTES, 0) +             \
   TRAP_HEADER_BYTES + 1)
#define TRAP_FLOOD_CREDENTIALS 16384 /* clients, a power of two */

/* A client's own cookie, which acknowledges its ISN, or its ticket. */
struct trap_flood_credential {
  __u64 source[2]; /* as in union trap_address */
  __be32 seq;
  __be32 ack;
  __be16 port;
  __u8 ticket[12];
  __u8 reserved[2];
};

struct trap_flood_order {
  __u64 words[TRAP_FLOOD_FRAME_MAX /
              8]; /* the frame, of an even length, with right checksums over zeros in what varies */
  __u64 number;   /* of frames so far; each gives another */
  __u32 bytes;
  __u32 family;          /* 4 or 6 */
  __u32 cpu;             /* the measured one */
  __u32 has_timestamp;   /* a timestamp as Linux has it in a SYN: 28 bytes into the TCP header */
  __u32 has_credentials; /* sources and what they need come from the table of credentials */
  __u32 has_ticket;      /* at TRAP_FLOOD_TICKET_AT; source ports are invented nevertheless */
};

/* Times in 256ths of a nanosecond of bpf_ktime_get_ns(). */
struct trap_flood_pace {
  __u64 interval; /* between frames; 0: as fast as they come, and nothing below counts */
  __u64 due;      /* of the next frame */
  __u64 forgiven; /* frames that are overdue by more are left out */
  __u64 end;      /* no frame after it */
  __u64 most;     /* frames in all */
};

enum trap_flood_answer {
  TRAP_FLOOD_OTHER, /* not TCP, or without any of the flags below */
  TRAP_FLOOD_SYN,
  TRAP_FLOOD_SYN_ACK,
  TRAP_FLOOD_RST,
  TRAP_FLOOD_ACK,
  TRAP_FLOOD_ANSWERS,
};

struct trap_flood_seen {
  __u64 answers[TRAP_FLOOD_ANSWERS];
  __u64 elsewhere; /* of them, polled by another CPU than the measured one */
  __u64 sampled;
  __u64 wrong_ip_checksums; /* of the samples, as are the next three */
  __u64 wrong_tcp_checksums;
  __u64 unfinished_tcp_checksums; /* left to a device's offload, with the right sum to begin with */
  __u64 wrong_numbers;            /* SYN-ACKs that do not acknowledge the SYN they answer */
};

/* The sequence number of the frame from this source, so that an answer can be held against it
 * without state. */
TRAP_INLINE __be32 trap_flood_seq(__be32 source, __be16 port) {
  return (__be32)((((__u64)source << 16 | port) * 0x9e3779b97f4a7c15ULL) >> 32);
}

TRAP_ASSERT(sizeof(struct trap_flood_credential) == 40, "shared through a variable");
TRAP_ASSERT(sizeof(struct trap_flood_order) == TRAP_FLOOD_FRAME_MAX + 32,
            "shared through a variable");
TRAP_ASSERT(sizeof(struct trap_flood_pace) == 40, "shared through a variable");
TRAP_ASSERT(sizeof(struct trap_flood_seen) == 8 * (TRAP_FLOOD_ANSWERS + 6),
            "shared through a variable");
