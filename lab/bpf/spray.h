/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The lab's orders to its spraying router: the hosts to which packets for the public address go. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

#define LAB_SPRAY_MEMBERS 4 /* a power of two */

struct lab_spray_member {
  __u32 interface; /* of the router; 0: where the packet leaves anyway */
  __u8 to[6];      /* MAC address of the host behind it */
  __u8 from[6];    /* of the interface: XDP answers to it */
};

struct lab_spray_order {
  __u32 count; /* 0 sprays nothing */
  __u32 reserved[3];
  struct lab_spray_member members[LAB_SPRAY_MEMBERS];
};

TRAP_ASSERT(sizeof(struct lab_spray_order) == 16 + 16 * LAB_SPRAY_MEMBERS,
            "shared through a variable");
