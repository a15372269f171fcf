/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The SYNs that are remembered, in two tables: one for all, of which each owner has a share, and
 * one for SYNs beyond the shares. So a user or host that opens many connections at once crowds
 * nothing out but its own (docs/adr/0039-pending-shares.md). */
#pragma once

#include "client/bpf/scratch.bpf.h"

static __always_inline struct trap_pending* find_pending(const struct trap_tuple* tuple) {
  struct trap_pending* syn = bpf_map_lookup_elem(&pending, tuple);

  return syn ? syn : bpf_map_lookup_elem(&pending_crowd, tuple);
}

/* Has the connect tried for as long as one may that a reset would have ended at once? */
static __always_inline int is_patience_over(const struct trap_pending* syn) {
  return coarse_ns() - syn->began_ns >= TRAP_PATIENCE_NS;
}

/* Has it found a backend silent, and tried again for long enough to know that this was no loss? */
static __always_inline int has_given_up(const struct trap_pending* syn) {
  return syn->connect & TRAP_CONNECT_GAVE_UP && is_patience_over(syn);
}

static __always_inline struct trap_owner owner_of(struct __sk_buff* skb,
                                                  const struct trap_tuple* tuple, __u32 family) {
  struct trap_owner owner = {.address = tuple->local, .side = tuple->side};

  if (tuple->side == TRAP_SIDE_HOST) {
    owner.user = bpf_get_socket_uid(skb);
  } else if (family == TRAP_IPV6) { /* a host may have every address of its /64 */
    owner.address.be32[2] = 0;
    owner.address.be32[3] = 0;
  }
  return owner;
}

/* Has the owner of memory->tuple had its share of this second? Counts the SYN on its walk. */
TRAP_GLOBAL_FUNCTION int is_beyond_share(struct __sk_buff* skb) {
  struct scratch* memory = find_scratch();
  struct trap_owner_share first = {.second = coarse_ns() >> TRAP_OWNER_SECOND_SHIFT, .syns = 1};
  struct trap_owner_share* share;
  struct trap_owner owner;

  if (!memory)
    return 0;
  owner = owner_of(skb, &memory->tuple, memory->packet_context.packet.family);
  share = bpf_map_lookup_elem(&owners, &owner);
  if (!share || share->second != first.second) {
    store(&owners, &owner, &first, BPF_ANY);
    return 0;
  }
  if (share->syns >= TRAP_OWNER_SYNS)
    return 1;
  if (!explaining)
    __sync_fetch_and_add(&share->syns, 1);
  return 0;
}
