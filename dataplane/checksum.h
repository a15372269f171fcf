/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Internet checksum (RFC 1071) over words as they lie in memory: no byte swapping, sums in 64
 * bits, folded once. */
#pragma once

#include "protocol/address.h"
#include "protocol/assert.h"

/* Sum of the two 32-bit halves: adding it to a 64-bit sum cannot overflow for any packet. */
TRAP_INLINE __u64 trap_sum64(__u64 word) {
  return (word & 0xffffffff) + (word >> 32);
}

/* The checksum field for a sum; also 0 for a sum over data that includes a right checksum. */
TRAP_INLINE __be16 trap_sum_fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__be16)~sum;
}

/* Sum over the pseudo-header of RFC 9293 3.1 and RFC 8200 8.1; both addresses, whatever their
 * order. */
TRAP_INLINE __u64 trap_sum_pseudo(const union trap_address* a, const union trap_address* b,
                                  __u32 family, __u32 tcp_bytes) {
  __u64 sum =
      TRAP_BE32(6) + (__u64)TRAP_BE32(tcp_bytes); /* protocol 6 and the length, as 32-bit words */

  if (family == TRAP_IPV4)
    return sum + a->be32[3] + b->be32[3];
  return sum + trap_sum64(a->raw64[0]) + trap_sum64(a->raw64[1]) + trap_sum64(b->raw64[0]) +
         trap_sum64(b->raw64[1]);
}
