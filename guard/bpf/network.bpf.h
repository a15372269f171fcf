/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Budgets of a network, which all clients of a /24 or /48 share: an attacker with a
 * network has as many clients as it wants. Found without a helper call, like flows. */
#pragma once

#include "guard/bpf/packet_context.bpf.h"
#include "guard/tables.h"

static __always_inline const struct trap_network_class* network_class_of(__u8 tag) {
  __u32 index = tag;

  return bpf_map_lookup_elem(&network_classes, &index);
}

static __always_inline int has_network_limits(const struct trap_network_class* class) {
  return class->syns.token_ns || class->packets.token_ns || class->flows;
}

#define TRAP_NO_NETWORK (~0U)

/* Where a network is, at a place that is made for it if there is none. TRAP_NO_NETWORK if another
 * CPU takes that place at this moment, or a packet is only explained. The network that makes room
 * is the one that has saved up most, without open flows if there is one: it loses least. A function
 * by itself: kernel 6.1 follows each comparison on every path that comes to it. */
TRAP_GLOBAL_FUNCTION __u32 find_network_place(const struct trap_guard_client_key* client) {
  __u32 zero = 0, first, found = TRAP_NO_NETWORK;
  const struct trap_guard_settings* now = bpf_map_lookup_elem(&settings, &zero);
  struct trap_network* network;
  __u64 key, former, least = ~0ULL;

  if (!client || !now)
    return TRAP_NO_NETWORK;
  key = trap_network_key(client);
  first = trap_network_index(key, now->table_keys);
  for (__u32 i = 0; i < TRAP_NETWORK_WAYS; i++) {
    __u32 at = first + i;
    __u64 used;

    network = bpf_map_lookup_elem(&network_budgets, &at);
    if (!network)
      return TRAP_NO_NETWORK;
    if (network->key == key)
      return at;
    used = network->syns.full_at_ns >> 1 | (__u64) !!network->flows << 63;
    if (used < least) {
      least = used;
      found = at;
    }
  }
  network = bpf_map_lookup_elem(&network_budgets, &found);
  if (explaining || !network)
    return TRAP_NO_NETWORK;
  former = network->key;
  if (former == TRAP_NETWORK_CLAIMED ||
      __sync_val_compare_and_swap(&network->key, former, TRAP_NETWORK_CLAIMED) != former)
    return TRAP_NO_NETWORK;
  network->syns.full_at_ns = 0;
  network->announced_syns.full_at_ns = 0;
  network->packets.full_at_ns = 0;
  network->flows = 0;
  __sync_lock_test_and_set(&network->key, key);
  return found;
}

/* The entry of a client's network; NULL as said above. */
static __always_inline struct trap_network*
find_network(const struct trap_guard_client_key* client) {
  __u32 place = find_network_place(client);

  return bpf_map_lookup_elem(&network_budgets, &place);
}
