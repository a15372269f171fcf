/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets of one TCP port as this host's interfaces send and receive them
 * (dataplane/bpf/wire_watch.bpf.c): the order that user space writes into the program's memory, and
 * the record that the program leaves in its ring buffer. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

#define TRAP_SIGHTING_BYTES 256 /* of a packet, at most: headers and all options */

struct trap_watch_order {
  __u64 network; /* the cookie of a network namespace, which SO_NETNS_COOKIE tells */
  __u32 version; /* of IP: 4 or 6 */
  __u32 port;    /* of either side, in host order */
};

/* From the IP header on. Bytes beyond `seen_bytes` are of no packet. */
struct trap_sighting {
  __u64 monotonic_ns;
  __u32 seen_bytes;
  __u32 leaves; /* 1: this host sends it; 0: it comes in */
  __u8 bytes[TRAP_SIGHTING_BYTES];
};

TRAP_ASSERT(sizeof(struct trap_sighting) == 16 + TRAP_SIGHTING_BYTES, "a layout without holes");
