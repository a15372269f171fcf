/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Samples of packets with their verdict, for `trapctl capture`: the order that a daemon writes into
 * a program's memory, and the record that the program leaves in the ring buffer `captured`. */
#pragma once

#include <linux/types.h>

#include "dataplane/verdict.h"
#include "protocol/assert.h"

#define TRAP_CAPTURE_BYTES 256 /* of a packet, at most: link layer, headers, all TCP options */

/* While `left` is not above 0 the programs only look at it. */
struct trap_capture_order {
  __s64 left;      /* samples that may still be taken */
  __u64 wanted[2]; /* a bit for each verdict */
  __u64 lost;      /* samples that the ring buffer had no room for */
};

TRAP_ASSERT(TRAP_VERDICT_COUNT <= 128, "two words have a bit for each verdict");

enum trap_captured_flags {
  TRAP_CAPTURED_LEAVES = 1 << 0,    /* it leaves this host; else it came in */
  TRAP_CAPTURED_AT_IP = 1 << 1,     /* without a link layer */
  TRAP_CAPTURED_MONITORED = 1 << 2, /* it passed, because the guard only monitors */
};

/* Bytes beyond `captured_bytes` are of no packet. */
struct trap_captured {
  __u64 monotonic_ns;
  __u32 ifindex;
  __u32 packet_bytes;
  __u32 captured_bytes;
  __u32 slot;
  __u32 verdict;
  __u32 flags;
  __u8 bytes[TRAP_CAPTURE_BYTES];
};

TRAP_ASSERT(sizeof(struct trap_captured) == 32 + TRAP_CAPTURE_BYTES, "a layout without holes");
