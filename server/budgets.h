/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finds entries of the server's map `clients`: a table of rows in an array map, so that an ACK
 * finds its client's budget without a helper call (docs/adr/0013). Pure logic for BPF, daemon and
 * tests.
 */
#pragma once

#include "protocol/address.h"
#include "protocol/siphash.h"
#include "server/maps.h"

/* A client (/32, /64) or network (/24, /48) in one word, which is never 0. An IPv6 client is the
 * upper half of its address. All others are 0xff, the number of bits and the prefix: no source
 * address begins with 0xff, which would be multicast. */
TRAP_INLINE __u64 trap_budget_of(const union trap_address* address, __u32 family, __u32 bits) {
  __u64 marked = 0xffULL << 56 | (__u64)bits << 48;

  if (family == TRAP_IPV4)
    return marked | TRAP_FROM_BE32(address->be32[3]) >> (32 - bits);
  if (bits == 64)
    return address->raw64[0] ? __builtin_bswap64(address->raw64[0]) : marked;
  return marked | __builtin_bswap64(address->raw64[0]) >> 16;
}

/* No client: an entry that a CPU is about to fill. */
#define TRAP_BUDGET_CLAIMED (~0ULL)

/* The row of a network, where its clients are too if there is room, and the row of a client if not.
 * Without the key nobody can choose addresses that share one. */
TRAP_INLINE __u32 trap_budget_row_of(__u64 of, const struct trap_key* secret) {
  __u64 hash = (__u32)of * (secret->start.v0 | 1) + (of >> 32) * (secret->start.v1 | 1);

  return (__u32)((hash ^ hash >> 32) * 0x9e3779b97f4a7c15ULL >> 49);
}
