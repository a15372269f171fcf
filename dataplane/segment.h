/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TCP flags judged as a whole (RFC 9293 3.5): the kind of a segment, or that no stack sends such
 * flags. */
#pragma once

#include "dataplane/packet.h"

enum trap_segment {
  TRAP_SEGMENT_SYN,
  TRAP_SEGMENT_SYN_ACK,
  TRAP_SEGMENT_ACK,
  TRAP_SEGMENT_RST, /* with or without ACK */
  TRAP_SEGMENT_FIN, /* always with ACK */
  TRAP_SEGMENT_NULL,
  TRAP_SEGMENT_ABSURD, /* SYN with FIN or RST, FIN with RST, FIN without ACK */
};

/* PSH, URG and the ECN bits do not change the kind: ECN sets them on SYNs, and old stacks push
 * theirs. */
TRAP_INLINE TRAP_MUST_USE enum trap_segment trap_segment_kind(__u8 flags) {
  switch (flags & (TRAP_TCP_SYN | TRAP_TCP_ACK | TRAP_TCP_RST | TRAP_TCP_FIN)) {
  case TRAP_TCP_SYN:
    return TRAP_SEGMENT_SYN;
  case TRAP_TCP_SYN | TRAP_TCP_ACK:
    return TRAP_SEGMENT_SYN_ACK;
  case TRAP_TCP_ACK:
    return TRAP_SEGMENT_ACK;
  case TRAP_TCP_RST:
  case TRAP_TCP_RST | TRAP_TCP_ACK:
    return TRAP_SEGMENT_RST;
  case TRAP_TCP_FIN | TRAP_TCP_ACK:
    return TRAP_SEGMENT_FIN;
  case 0:
    return TRAP_SEGMENT_NULL;
  default:
    return TRAP_SEGMENT_ABSURD;
  }
}
