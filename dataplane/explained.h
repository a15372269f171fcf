/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The value that a program that explains (dataplane/bpf/explain.bpf.h) returns to user space in
 * place of an action. */
#pragma once

#include "dataplane/verdict.h"

/* The socket that the host's stack has for a packet. */
enum trap_socket {
  TRAP_SOCKET_NONE,
  TRAP_SOCKET_LISTENS, /* a listener only, which takes any client */
  TRAP_SOCKET_OPENS,   /* SYN answered by the stack, handshake not completed */
  TRAP_SOCKET_LIVES,   /* established, or closing */
  TRAP_SOCKET_LINGERS, /* TIME_WAIT */
};

/* Is it the socket of exactly this connection, as opposed to a listener? */
TRAP_INLINE int trap_socket_is_connection(enum trap_socket socket) {
  return socket != TRAP_SOCKET_NONE && socket != TRAP_SOCKET_LISTENS;
}

#define TRAP_EXPLAINED 0x100u /* no action of any hook is as large */
#define TRAP_EXPLAINED_SLOT_SHIFT 16
#define TRAP_EXPLAINED_SOCKET_SHIFT 24 /* 1 + enum trap_socket; 0: the stack was not asked */

TRAP_INLINE __u32 trap_explained(__u32 slot, __u32 verdict, __u32 socket) {
  return TRAP_EXPLAINED | verdict | slot << TRAP_EXPLAINED_SLOT_SHIFT |
         socket << TRAP_EXPLAINED_SOCKET_SHIFT;
}

TRAP_ASSERT(TRAP_VERDICT_SLOTS <= TRAP_EXPLAINED, "a verdict fits below the mark");
