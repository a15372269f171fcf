/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of admitted flows, open and half-open. Segments that are not SYNs pass only if they
 * belong to one, or to a socket that exists. */
#pragma once

#include "dataplane/bpf/socket.bpf.h"
#include "guard/bpf/packet_context.bpf.h"
#include "guard/tables.h"

#define TRAP_FLOW_REFRESH_NS 1000000000ULL

/* What of a flow changes together. */
union standing {
  struct {
    __u8 tag;
    __u8 flags;
    __u8 consent_kind;
    __u8 reserved;
  };
  __u32 word;
};

static __always_inline union standing standing_of(const struct trap_guard_flow* flow) {
  union standing standing = {.word = *(const volatile __u32*)&flow->tag};

  return standing;
}

/* 1 if the flow still stood as it did `before`, and stands as `after` now: of the CPUs that close
 * or open a flow at once, one counts it. */
static __always_inline TRAP_MUST_USE int
change_standing(struct trap_guard_flow* flow, union standing before, union standing after) {
  return __sync_val_compare_and_swap((__u32*)&flow->tag, before.word, after.word) == before.word;
}

static __always_inline struct trap_flow_entry* entry_of(struct trap_guard_flow* flow) {
  return (void*)((__u8*)flow - __builtin_offsetof(struct trap_flow_entry, value));
}

static __always_inline struct trap_flow_key flow_key_of(const struct trap_packet* packet) {
  struct trap_flow_key key = {
      .client = packet->source,
      .service = packet->destination,
      .client_port = packet->source_port,
      .service_port = packet->destination_port,
  };
  return key;
}

static __always_inline __u64 hash_flow(const struct trap_flow_key* key) {
  __u32 zero = 0;
  const struct trap_flow_keys* secret = bpf_map_lookup_elem(&flow_keys, &zero);

  return secret ? trap_flow_hash(key, secret) : 0;
}

static __always_inline struct trap_flow_bucket* flow_bucket(__u64 hash, int second) {
  __u32 index = trap_flow_bucket_index(hash, second, flow_buckets);

  return bpf_map_lookup_elem(&flows, &index);
}

/* The entry of a live flow in a bucket, or NULL. */
static __always_inline struct trap_guard_flow*
find_in_bucket(struct trap_flow_bucket* bucket, const struct trap_flow_key* key, __u64 now_ns) {
  if (!bucket)
    return NULL;
#pragma unroll
  for (int i = 0; i < TRAP_FLOW_WAYS; i++) {
    struct trap_flow_entry* entry = &bucket->entries[i];

    if (trap_flow_key_equal(&entry->key, key) && trap_flow_is_live(&entry->value, now_ns))
      return &entry->value;
  }
  return NULL;
}

static __always_inline struct trap_guard_flow* find_flow(const struct trap_flow_key* key,
                                                         __u64 hash, __u64 now_ns) {
  struct trap_guard_flow* flow = find_in_bucket(flow_bucket(hash, 0), key, now_ns);

  return flow ? flow : find_in_bucket(flow_bucket(hash, 1), key, now_ns);
}

/* An entry of the bucket is, or was until lately, an open flow whose service's numbers were seen.
 */
static __always_inline int was_answered_in(const struct trap_flow_bucket* bucket,
                                           const struct trap_flow_key* key, __u64 now_ns) {
  const __s64 lately_ns = TRAP_FLOW_CLOSING_NS + TRAP_FLOW_HALF_OPEN_NS;

  if (!bucket)
    return 0;
#pragma unroll
  for (int i = 0; i < TRAP_FLOW_WAYS; i++) {
    const struct trap_flow_entry* entry = &bucket->entries[i];

    if (trap_flow_key_equal(&entry->key, key) && entry->key.expected &&
        entry->value.seen_ns > TRAP_FLOW_CLAIMED &&
        (__s64)(now_ns - entry->value.seen_ns) < lately_ns)
      return 1;
  }
  return 0;
}

/* The connection is, or was until lately, open, and the numbers of its service were seen. */
TRAP_GLOBAL_FUNCTION int was_answered(const struct trap_flow_key* key) {
  __u64 hash, now_ns = coarse_ns();

  if (!key)
    return 0;
  hash = hash_flow(key);
  return was_answered_in(flow_bucket(hash, 0), key, now_ns) ||
         was_answered_in(flow_bucket(hash, 1), key, now_ns);
}

/* The bucket in which a flow is while it is half-open. */
static __always_inline struct trap_flow_bucket* half_open_bucket(const struct trap_flow_key* key,
                                                                 __u64 hash) {
  __u32 zero = 0, number = TRAP_FROM_BE16(key->service_port), index;
  const struct trap_flow_keys* secret = bpf_map_lookup_elem(&flow_keys, &zero);
  const struct trap_guard_port* port = bpf_map_lookup_elem(&ports, &number);

  if (!secret || !port)
    return NULL;
  index = trap_half_open_index(key, hash, port, secret, half_open_buckets);
  return bpf_map_lookup_elem(&half_open, &index);
}

static __always_inline struct trap_guard_flow* find_half_open(const struct trap_flow_key* key,
                                                              __u64 hash, __u64 now_ns) {
  return find_in_bucket(half_open_bucket(key, hash), key, now_ns);
}

/* 0 if no half-open flow has this hash: what a flood learns without a look into the table. */
static __always_inline int may_be_half_open(__u64 hash, __u64 now_ns) {
  __u32 zero = 0;
  const struct trap_half_open_marks* marks = bpf_map_lookup_elem(&half_open_marks, &zero);

  return !marks || trap_may_be_half_open(marks->seen[trap_half_open_mark_index(hash)], now_ns);
}

/* Before a half-open flow is written or heard of again, so that its segments find it. */
static __always_inline void mark_half_open(__u64 hash, __u64 now_ns) {
  __u32 zero = 0;
  struct trap_half_open_marks* marks = bpf_map_lookup_elem(&half_open_marks, &zero);

  if (marks)
    marks->seen[trap_half_open_mark_index(hash)] = trap_half_open_mark(now_ns);
}

/* The entry of a bucket that was silent for longest; *seen_ns receives when it was heard of last,
 * which for an empty one is never. */
static __always_inline __u32 oldest_in_bucket(const struct trap_flow_bucket* bucket,
                                              __u64* seen_ns) {
  __u32 oldest = 0;

  *seen_ns = ~0ULL;
#pragma unroll
  for (__u32 i = 0; i < TRAP_FLOW_WAYS; i++) {
    __u64 seen = bucket->entries[i].value.seen_ns;

    if (seen < *seen_ns && seen != TRAP_FLOW_CLAIMED) {
      *seen_ns = seen;
      oldest = i;
    }
  }
  return oldest;
}

/* Claims an entry for a new flow from other CPUs: an empty or idle one of the first bucket, else
 * the one of both buckets that was silent for longest. NULL if another CPU was faster: then the
 * flow passes by its socket, or by the repetition of its SYN. */
static __always_inline TRAP_MUST_USE struct trap_flow_entry* claim_flow(__u64 hash, __u64 now_ns) {
  struct trap_flow_bucket* first = flow_bucket(hash, 0);
  struct trap_flow_bucket* second = flow_bucket(hash, 1);
  __u64 first_seen_ns, second_seen_ns, seen_ns;
  __u32 in_first, in_second;
  struct trap_flow_entry* entry;

  if (!first || !second)
    return NULL;
  in_first = oldest_in_bucket(first, &first_seen_ns);
  in_second = oldest_in_bucket(second, &second_seen_ns);
  if (first_seen_ns + TRAP_FLOW_IDLE_NS <= now_ns || first_seen_ns <= second_seen_ns) {
    entry = &first->entries[in_first & (TRAP_FLOW_WAYS - 1)];
    seen_ns = first_seen_ns;
  } else {
    entry = &second->entries[in_second & (TRAP_FLOW_WAYS - 1)];
    seen_ns = second_seen_ns;
  }
  return __sync_val_compare_and_swap(&entry->value.seen_ns, seen_ns, TRAP_FLOW_CLAIMED) == seen_ns
             ? entry
             : NULL;
}

/* Claims an entry for a flow that is half-open: one that is over, else the oldest without a ticket,
 * and for a ticket the oldest. NULL if there is none, or if another CPU was faster. */
static __always_inline TRAP_MUST_USE struct trap_flow_entry*
claim_half_open(struct trap_flow_bucket* bucket, int by_ticket, __u64 now_ns) {
  const __u64 kept = 1ULL << 63;
  __u64 least = ~0ULL, seen_ns = 0;
  __u32 oldest = 0;
  struct trap_flow_entry* entry;

#pragma unroll
  for (__u32 i = 0; i < TRAP_FLOW_WAYS; i++) {
    const struct trap_guard_flow* flow = &bucket->entries[i].value;
    __u64 seen = flow->seen_ns, rank = 0;

    if (seen == TRAP_FLOW_CLAIMED)
      continue;
    if (trap_flow_is_live(flow, now_ns))
      rank = flow->consent_kind ? seen | kept : seen;
    if (rank < least) {
      least = rank;
      seen_ns = seen;
      oldest = i;
    }
  }
  if (least == ~0ULL || ((least & kept) && !by_ticket))
    return NULL;
  entry = &bucket->entries[oldest & (TRAP_FLOW_WAYS - 1)];
  return __sync_val_compare_and_swap(&entry->value.seen_ns, seen_ns, TRAP_FLOW_CLAIMED) == seen_ns
             ? entry
             : NULL;
}

/* Writes an entry that was claimed. The last write makes it valid. */
static __always_inline struct trap_guard_flow* write_flow(struct trap_flow_entry* entry,
                                                          const struct trap_flow_key* key,
                                                          __u64 now_ns, union standing standing) {
  if (!entry)
    return NULL;
  entry->key = *key;
  entry->value.packets_left = 0;
  entry->value.bytes_left = 0;
  entry->value.isn = 0;
  *(volatile __u32*)&entry->value.tag = standing.word;
  __sync_lock_test_and_set(&entry->value.seen_ns, now_ns);
  return &entry->value;
}

/* Makes an entry for the open flow of a key that has none. */
static __always_inline struct trap_guard_flow*
make_flow(const struct trap_flow_key* key, __u64 hash, __u64 now_ns, union standing standing) {
  return write_flow(claim_flow(hash, now_ns), key, now_ns, standing);
}
