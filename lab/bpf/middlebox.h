/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A middlebox's actions on packets between the client and the services, and its counters: shared by
 * lab/bpf/middlebox.bpf.c and lab/network/middlebox.cpp. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

#define LAB_STRIPS_SYN (1u << 0) /* puts NOPs over TRAP options */
#define LAB_STRIPS_SYN_ACK (1u << 1)
#define LAB_STRIPS_RST (1u << 2)
#define LAB_DROPS_SYN_OPTIONS (1u << 3) /* drops SYNs with a TRAP option */
#define LAB_DROPS_RST (1u << 4)         /* those towards the client */
#define LAB_REWRITES_ISN (1u << 5)      /* of both sides, another way for each connection */
#define LAB_DUPLICATES (1u << 6)        /* every packet */
#define LAB_REORDERS (1u << 7)          /* keeps every third packet until the next has passed */
#define LAB_CUTS_OFF (1u << 8)          /* drops packets not to or from the public address */

#define LAB_ADDRESS_WORDS 4 /* IPv4 in the first */

struct lab_mischief {
  __u32 flags;
  __u32 loss_percent; /* of each hundred packets of a direction */
  __be32 client_v4;
  __be32 public_v4;
  __be32 client_v6[LAB_ADDRESS_WORDS];
  __be32 public_v6[LAB_ADDRESS_WORDS];
};

TRAP_ASSERT(sizeof(struct lab_mischief) == 48, "shared through a map");

enum lab_counter {
  LAB_SYNS, /* of the client */
  LAB_STRIPPED,
  LAB_DROPPED, /* for their kind, options or address */
  LAB_LOST,
  LAB_DUPLICATED,
  LAB_REORDERED,
  LAB_REWRITTEN,
  LAB_COUNTERS,
};
