/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Internet checksum (RFC 1071) over words as they lie in memory: no byte swapping, sums in 64
 * bits, folded once. BPF programs and user space have no other. */
#pragma once

#include "dataplane/verifier.h"
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

/* Sum over the pseudo-header of RFC 9293 3.1 and RFC 8200 8.1 for a segment of `protocol` and
 * l4_bytes; the two addresses in either order. */
TRAP_INLINE __u64 trap_sum_pseudo_header(const union trap_address* a, const union trap_address* b,
                                         __u32 family, __u32 protocol, __u32 l4_bytes) {
  __u64 sum = TRAP_BE32(protocol) + (__u64)TRAP_BE32(l4_bytes); /* as 32-bit words */

  if (family == TRAP_IPV4)
    return sum + a->be32[3] + b->be32[3];
  return sum + trap_sum64(a->raw64[0]) + trap_sum64(a->raw64[1]) + trap_sum64(b->raw64[0]) +
         trap_sum64(b->raw64[1]);
}

/* The same for TCP. */
TRAP_INLINE __u64 trap_sum_pseudo(const union trap_address* a, const union trap_address* b,
                                  __u32 family, __u32 tcp_bytes) {
  return trap_sum_pseudo_header(a, b, family, 6, tcp_bytes);
}

/* Sum over `bytes` bytes at any address. Sums of pieces add up if every piece but the last has an
 * even number of bytes. The loop has no bound that a verifier would take: for user space. */
TRAP_INLINE __u64 trap_sum_bytes(const void* from, __u32 bytes) {
  const __u8* at = (const __u8*)from;
  __u32 rest = 0;
  __u64 sum = 0;

  for (; bytes >= sizeof(rest); bytes -= sizeof(rest), at += sizeof(rest))
    sum += TRAP_LOAD32(at);
  __builtin_memcpy(&rest, at, bytes);
  return sum + rest;
}
