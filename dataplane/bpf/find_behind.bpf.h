/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap_find_behind() as a program calls it. TRAP_PROGRAM_CONTEXT is the type of what the program is
 * called with. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "dataplane/icmp.h"

/* trap_find_behind() for the IP header at l3_offset of the frame. A function by itself: the
 * verifier would follow all that comes behind it for each way through the headers, which made half
 * of what it did for guard and client. */
TRAP_GLOBAL_FUNCTION __u32 find_behind(TRAP_PROGRAM_CONTEXT* ctx, __u32 l3_offset, __u32 wanted) {
  const __u8* l3 = (const __u8*)(long)ctx->data + (l3_offset & TRAP_BEHIND_MASK);

  TRAP_HOLD(l3);
  return (__u32)trap_find_behind(l3, (const void*)(long)ctx->data_end, (__u8)wanted);
}

/* find_behind() for an IPv6 header, in bounds that the verifier sees; 0 for an IPv4 header. */
static __always_inline __u64 header_behind(TRAP_PROGRAM_CONTEXT* ctx, __u32 family, __u64 l3_offset,
                                           __u8 wanted) {
  __u64 behind;

  if (family != TRAP_IPV6)
    return 0;
  behind = find_behind(ctx, (__u32)l3_offset, wanted) & TRAP_BEHIND_MASK;
  TRAP_HOLD(behind);
  return behind;
}
