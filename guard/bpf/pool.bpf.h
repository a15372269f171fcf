/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pools behind one guard: addresses of a pool take only tickets and announcements with one of its
 * tags, and no other address takes those. Asked only where the configuration has pools, and of
 * tickets and announcements only once their MAC was right, because the tag is under it. */
#pragma once

#include "guard/bpf/packet_context.bpf.h"

/* The pool of an address of this host, TRAP_NO_POOL if it is in none. A function by itself, out of
 * the way of guards without pools. */
TRAP_GLOBAL_FUNCTION __u32 pool_of_address(const union trap_address* address) {
  struct trap_trusted_key key = {.bits = 128};
  const __u32* pool;

  if (!address)
    return TRAP_NO_POOL;
  __builtin_memcpy(key.address, address, sizeof(key.address));
  pool = bpf_map_lookup_elem(&pools, &key);
  return pool ? *pool : TRAP_NO_POOL;
}

static __always_inline int has_pools(const struct packet_context* context) {
  return context->settings->flags & TRAP_GUARD_POOLS;
}

static __always_inline __u32 pool_of_tag(__u8 tag) {
  __u32 index = tag;
  const __u32* pool = bpf_map_lookup_elem(&tag_pools, &index);

  return pool ? *pool : TRAP_POOL_CHANGES;
}

/* May the tag be used at the packet's destination? */
static __always_inline TRAP_MUST_USE int is_tag_of_pool(const struct packet_context* context,
                                                        __u8 tag) {
  return !has_pools(context) || pool_of_tag(tag) == pool_of_address(&context->packet.destination);
}
