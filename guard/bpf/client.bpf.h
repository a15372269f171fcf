/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entries of admitted clients in `client_budgets`: found without a helper call, made without a
 * lock, and never two for one client, so that its budgets are one (docs/adr/0046). */
#pragma once

#include "guard/bpf/packet_context.bpf.h"
#include "guard/tables.h"

#define TRAP_NO_CLIENT (~0U)

/* Looks again of a CPU that meets another one at the same client. */
#define TRAP_CLIENT_TRIES 4

enum client_state {
  CLIENT_FOUND, /* at the place */
  CLIENT_ROOM,  /* not there; the place is empty */
  CLIENT_FULL,  /* not there, and no place is empty */
  CLIENT_BUSY,  /* another CPU is about to write its entry */
};

struct looked {
  enum client_state state;
  __u32 place;
};

static __always_inline struct trap_client_bucket* client_bucket(__u64 print, int second) {
  __u32 index = trap_client_bucket_index(print, second, client_buckets);

  return bpf_map_lookup_elem(&client_budgets, &index);
}

static __always_inline __u64 print_of(const struct trap_guard_client_key* key) {
  __u32 zero = 0;
  const struct trap_client_keys* secret = bpf_map_lookup_elem(&client_keys, &zero);

  return secret ? trap_client_print(key, secret) : TRAP_CLIENT_NOBODY;
}

static __always_inline struct looked look_in_buckets(__u64 print, __u32 claimed) {
  struct looked looked = {.place = TRAP_NO_CLIENT, .state = CLIENT_FULL};

#pragma unroll
  for (int second = 0; second < 2; second++) {
    __u32 first_place = trap_client_bucket_index(print, second, client_buckets) * TRAP_CLIENT_WAYS;
    const struct trap_client_bucket* bucket = client_bucket(print, second);

    if (!bucket)
      return looked;
#pragma unroll
    for (__u32 i = 0; i < TRAP_CLIENT_WAYS; i++) {
      __u64 there = *(const volatile __u64*)&bucket->prints[i];

      if (there == print || there == TRAP_CLIENT_EMPTY) {
        looked.place = first_place + i;
        looked.state = there ? CLIENT_FOUND : CLIENT_ROOM;
        return looked;
      }
      if (there == trap_client_claim(print) && first_place + i != claimed)
        looked.state = CLIENT_BUSY;
      TRAP_HOLD(looked.state);
    }
  }
  return looked;
}

/* `state` in the upper half, `place` in the lower. A function by itself, because the verifier would
 * follow all that is behind it for each place. */
TRAP_GLOBAL_FUNCTION __u64 look_for_place(__u64 print, __u32 claimed) {
  struct looked looked = look_in_buckets(print, claimed);

  return (__u64)looked.state << 32 | looked.place;
}

/* Looks through both buckets; `claimed` is the place that the caller has claimed for the client. */
static __always_inline struct looked look_for_client(__u64 print, __u32 claimed) {
  __u64 found = look_for_place(print, claimed);
  struct looked looked = {.place = (__u32)found, .state = (enum client_state)(found >> 32)};

  return looked;
}

/* Takes a place from the client of the first bucket that loses least. TRAP_NO_CLIENT if another CPU
 * was faster, or takes one for the same client: of two that have claimed one, each sees the other,
 * so there is never a second entry. */
static __always_inline __u32 take_client_place(__u64 print) {
  struct trap_client_bucket* bucket = client_bucket(print, 0);
  struct trap_guard_client* client;
  __u64 former = 0, least = ~0ULL;
  __u32 found = 0, place;

  if (!bucket)
    return TRAP_NO_CLIENT;
#pragma unroll
  for (__u32 i = 0; i < TRAP_CLIENT_WAYS; i++) {
    __u64 there = *(const volatile __u64*)&bucket->prints[i];
    __u64 loss = there == TRAP_CLIENT_NOBODY ? 0 : trap_client_loss(&bucket->clients[i]);

    if (there == print) /* by now */
      return TRAP_NO_CLIENT;
    if (loss < least && ((there & TRAP_CLIENT_IS_THERE) || there == TRAP_CLIENT_NOBODY)) {
      least = loss;
      former = there;
      found = i;
    }
  }
  TRAP_HOLD(found);
  found &= TRAP_CLIENT_WAYS - 1;
  if (!former || __sync_val_compare_and_swap(&bucket->prints[found], former,
                                             trap_client_claim(print)) != former)
    return TRAP_NO_CLIENT;
  place = trap_client_bucket_index(print, 0, client_buckets) * TRAP_CLIENT_WAYS + found;
  if (look_for_client(print, place).state != CLIENT_FULL) {
    __sync_lock_test_and_set(&bucket->prints[found], TRAP_CLIENT_NOBODY);
    return TRAP_NO_CLIENT;
  }
  client = &bucket->clients[found];
  client->syns.full_at_ns = coarse_ns(); /* full, and not the next to go before it has paid */
  client->announced_syns.full_at_ns = 0;
  client->packets.full_at_ns = 0;
  client->kib.full_at_ns = 0;
  client->flows = 0;
  client->tag = 0;
  __sync_lock_test_and_set(&bucket->prints[found], print);
  return place;
}

/* Where a client's entry is, or TRAP_NO_CLIENT. Functions by themselves, as find_network_place().
 */
TRAP_GLOBAL_FUNCTION __u32 find_client_place(const struct trap_guard_client_key* key) {
  struct looked looked;

  if (!key)
    return TRAP_NO_CLIENT;
  looked = look_in_buckets(print_of(key), TRAP_NO_CLIENT);
  return looked.state == CLIENT_FOUND ? looked.place : TRAP_NO_CLIENT;
}

/* The same, at a place that is made for it if there is none. TRAP_NO_CLIENT if a packet is only
 * explained, or other CPUs are at work on the entry at every try. */
TRAP_GLOBAL_FUNCTION __u32 make_client_place(const struct trap_guard_client_key* key) {
  __u64 print;

  if (!key)
    return TRAP_NO_CLIENT;
  print = print_of(key);
  for (int i = 0; i < TRAP_CLIENT_TRIES; i++) {
    struct looked looked = look_for_client(print, TRAP_NO_CLIENT);
    __u32 index = looked.place / TRAP_CLIENT_WAYS;
    struct trap_client_bucket* bucket;

    if (looked.state == CLIENT_FOUND)
      return looked.place;
    if (explaining || print == TRAP_CLIENT_NOBODY)
      return TRAP_NO_CLIENT;
    if (looked.state == CLIENT_FULL) {
      __u32 place = take_client_place(print);

      if (place != TRAP_NO_CLIENT)
        return place;
    }
    if (looked.state != CLIENT_ROOM)
      continue;
    bucket = bpf_map_lookup_elem(&client_budgets, &index);
    if (!bucket)
      return TRAP_NO_CLIENT;
    if (__sync_val_compare_and_swap(&bucket->prints[looked.place & (TRAP_CLIENT_WAYS - 1)],
                                    TRAP_CLIENT_EMPTY, print) == TRAP_CLIENT_EMPTY)
      return looked.place;
  }
  return TRAP_NO_CLIENT;
}

static __always_inline struct trap_guard_client* client_at(__u32 place) {
  __u32 index = place / TRAP_CLIENT_WAYS;
  struct trap_client_bucket* bucket = bpf_map_lookup_elem(&client_budgets, &index);

  return bucket ? &bucket->clients[place & (TRAP_CLIENT_WAYS - 1)] : NULL;
}

/* The entry of an admitted client; NULL as said above. */
static __always_inline struct trap_guard_client*
find_client(const struct trap_guard_client_key* key) {
  return client_at(find_client_place(key));
}
