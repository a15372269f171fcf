/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a program that explains (dataplane/bpf/explain.bpf.h) returns in place of an action, for
 * user space to read. */
#pragma once

#include "dataplane/verdict.h"

/* What the host's stack has for a packet's connection. */
enum trap_socket {
  TRAP_SOCKET_NONE,
  TRAP_SOCKET_LISTENS, /* nothing but a listener, which would take anybody */
  TRAP_SOCKET_OPENS,   /* SYN answered by the stack, handshake not completed */
  TRAP_SOCKET_LIVES,   /* established, or closing */
  TRAP_SOCKET_LINGERS, /* TIME_WAIT */
};

#define TRAP_EXPLAINED 0x100u /* no action of any hook is as large */
#define TRAP_EXPLAINED_SLOT_SHIFT 16
#define TRAP_EXPLAINED_SOCKET_SHIFT 24 /* 1 + enum trap_socket; 0: the stack was not asked */

TRAP_INLINE __u32 trap_explained(__u32 slot, __u32 verdict, __u32 socket) {
  return TRAP_EXPLAINED | verdict | slot << TRAP_EXPLAINED_SLOT_SHIFT |
         socket << TRAP_EXPLAINED_SOCKET_SHIFT;
}

TRAP_ASSERT(TRAP_VERDICT_SLOTS <= TRAP_EXPLAINED, "a verdict fits below the mark");
