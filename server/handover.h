/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A completed handshake, as trap-server's XDP program describes it to its tc program in metadata in
 * front of the packet. Metadata never comes from the wire, and the mark tells it from that of other
 * XDP programs. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

#define TRAP_HANDOVER_MARK 0x54524150u /* "TRAP" */

#define TRAP_HANDOVER_TIMESTAMPS 1u
#define TRAP_HANDOVER_SACK 2u
#define TRAP_HANDOVER_SCALES 4u

struct trap_handover {
  __u32 mark;
  __u32 timestamp; /* of the client: TSval, host byte order */
  __u32 echo;      /* TSecr: what our SYN-ACK said */
  __u16 mss;
  __u8 flags;
  __u8 client_window_scale;
  __u8 server_window_scale;
  __u8 reserved[3];
};

TRAP_ASSERT(sizeof(struct trap_handover) == 20, "XDP metadata is at most 32 bytes, in words");
