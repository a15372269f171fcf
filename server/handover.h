/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A completed handshake, as trap-server's XDP program describes it to its tc program in metadata in
 * front of the packet, and what became of it there. Metadata never comes from the wire, and the
 * mark tells it from that of other XDP programs. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

#define TRAP_HANDOVER_MARK 0x54524150u /* "TRAP" */

#define TRAP_HANDOVER_TIMESTAMPS 1u
#define TRAP_HANDOVER_SACK 2u
#define TRAP_HANDOVER_SCALES 4u
#define TRAP_HANDOVER_ECN 16u
#define TRAP_HANDOVER_FOLLOWS                                                                      \
  8u /* came right behind the one that was handed over: no more is set */

#define TRAP_HANDOVER_TEST                                                                         \
  32u /* the daemon's own: for its listener at loopback, not the service's */

#define TRAP_HANDOVER_WAITED 64u /* with FOLLOWS: it has let those that came with it go first */

/* In skb->tc_index, which the queue of a CPU leaves alone: the packet was here before. */
#define TRAP_AGAIN 0x5452

struct trap_handover {
  __u32 mark;
  __u32 timestamp; /* of the client: TSval, host byte order; of a TEST the listener's port */
  __u32 echo;      /* TSecr, and the milliseconds since our SYN-ACK said it */
  __u16 mss;
  __u16 slot; /* of the service */
  __u8 flags;
  __u8 window_scales; /* the client's in the low nibble, the server's in the high one */
} __attribute__((packed, aligned(2)));

/* The same in skb->cb, for trap-server's programs at tc. */
union trap_handover_words {
  struct trap_handover handover;
  __u32 words[5];
};

TRAP_ASSERT(sizeof(union trap_handover_words) == 20, "skb->cb has 20 bytes");

/* In generic mode the kernel may give the tc program a frame without its Ethernet header. Metadata
 * then seems to end where that header does. So the handover lies this far from the front of as much
 * metadata as there may be: 14 bytes later it is there at the front, whole. */
#define TRAP_HANDOVER_METADATA_BYTES 32
#define TRAP_HANDOVER_AT 14

TRAP_ASSERT(sizeof(struct trap_handover) + TRAP_HANDOVER_AT == TRAP_HANDOVER_METADATA_BYTES,
            "XDP metadata is at most 32 bytes, in words");

/* The ways a handover can end, for the tc program, the daemon, metrics and documents: the one
 * table. X(identifier, is_loss, name, explanation). */
#define TRAP_ASSIGNMENTS(X)                                                                        \
  X(MADE, 0, "made", "the stack got a request socket, from which it makes the connection")         \
  X(WAITED, 0, "waited",                                                                           \
    "segment right behind a handshake, queued until the stack has the connection")                 \
  X(JOINED, 0, "joined", "the stack had the connection already")                                   \
  X(LEFT_BEHIND, 0, "left-behind",                                                                 \
    "segment right behind a handshake that the stack did not take, dropped: is the listener's "    \
    "queue full?")                                                                                 \
  X(UNREADABLE, 1, "unreadable", "the frame could not be read at tc")                              \
  X(NO_LISTENER, 1, "no-listener", "the listener was gone")                                        \
  X(MPTCP, 1, "mptcp", "the listener is an MPTCP socket, for which the kernel takes no handshake") \
  X(REFUSED, 1, "refused", "the kernel refused the connection's options")                          \
  X(NO_MEMORY, 1, "no-memory", "the kernel had no memory for the request socket")                  \
  X(ELSEWHERE, 1, "elsewhere", "the listener is in another network namespace")

enum trap_assignment {
#define TRAP_ASSIGNMENT_ID(id, is_loss, name, explanation) TRAP_ASSIGNMENT_##id,
  TRAP_ASSIGNMENTS(TRAP_ASSIGNMENT_ID)
#undef TRAP_ASSIGNMENT_ID
      TRAP_ASSIGNMENT_COUNT
};

/* Bits of the value that trap_listener (server/bpf/listener.bpf.c) returns. */
#define TRAP_LISTENER_FOUND 1
#define TRAP_LISTENER_MULTIPATH 2   /* an MPTCP socket */
#define TRAP_LISTENER_SIGNATURES 4  /* has TCP-MD5 or TCP-AO keys */
#define TRAP_LISTENER_FULL 8        /* its queue has no room for another connection */
#define TRAP_LISTENER_CONNECTION 16 /* no listener: the connection itself */
#define TRAP_LISTENER_NEAR 32       /* IP_MINTTL or IPV6_MINHOPCOUNT: for near clients alone */
#define TRAP_LISTENER_SHARES 64     /* its address and port, with others */

/* Map `assignments` (per-CPU array of numbers): index slot * TRAP_ASSIGNMENT_SLOTS + result. */
#define TRAP_ASSIGNMENT_SLOTS 16

TRAP_ASSERT(TRAP_ASSIGNMENT_COUNT <= TRAP_ASSIGNMENT_SLOTS, "a slot for each");
