/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Clients that TRAP servers announced: look-up, and entry once the MAC was right. */
#pragma once

#include "guard/bpf/packet_context.bpf.h"
#include "guard/bpf/pool.bpf.h"
#include "guard/tables.h"

static __always_inline struct trap_announced_bucket* announced_bucket(__u64 hash) {
  __u32 index = trap_announced_bucket_index(hash, announced_buckets);

  return bpf_map_lookup_elem(&announced, &index);
}

/* The entry of a key, over or not; NULL if there is none. */
static __always_inline struct trap_announced_entry*
find_announced(struct trap_announced_bucket* bucket, const struct trap_announced_key* key,
               __u64 hash) {
  __u8 print = trap_announced_print(hash);

  if (!trap_announced_may_hold(bucket->print_word, print))
    return NULL;
#pragma unroll
  for (int i = 0; i < TRAP_ANNOUNCED_WAYS; i++) {
    struct trap_announced_entry* entry = &bucket->entries[i];

    if (bucket->prints[i] == print && trap_announced_key_equal(&entry->key, key))
      return entry;
  }
  return NULL;
}

/* Is the client announced for this port, at addresses of the destination's pool? If so, *tag
 * receives the tag of the announcement, which is still that pool's. A flood of SYNs ends here. */
static __always_inline TRAP_MUST_USE int is_announced(const struct packet_context* context,
                                                      __u8* tag) {
  struct trap_announced_key key = {
      .client =
          trap_address_mask(context->packet.source, context->packet.family, scope_of(context)),
      .port = context->packet.destination_port,
      .scope = scope_of(context)};
  __u64 hash = trap_announced_hash(&key, context->settings->table_keys);
  struct trap_announced_bucket* bucket = announced_bucket(hash);
  const struct trap_announced_entry* entry;

  if (!bucket)
    return 0;
  if (has_pools(context) && trap_announced_may_hold(bucket->print_word, trap_announced_print(hash)))
    key.pool = pool_of_address(&context->packet.destination);
  entry = find_announced(bucket, &key, hash);
  if (!entry || entry->value.until_s + context->settings->clock_skew_s <= unix_time(context).unix_s)
    return 0;
  *tag = entry->value.tag;
  return !has_pools(context) || pool_of_tag(*tag) == key.pool;
}

/* The entry that ends first; an empty one has always ended. */
static __always_inline __u32 first_to_end(const struct trap_announced_bucket* bucket) {
  __u32 first = 0, until_s = ~0u;

#pragma unroll
  for (__u32 i = 0; i < TRAP_ANNOUNCED_WAYS; i++) {
    if (bucket->entries[i].value.until_s < until_s) {
      until_s = bucket->entries[i].value.until_s;
      first = i;
    }
  }
  return first & (TRAP_ANNOUNCED_WAYS - 1);
}

/* Counts a new client against the network around it, before the client gets an entry. */
static __always_inline int network_allows(const struct packet_context* context,
                                          union trap_address client) {
  union trap_address network = trap_address_mask(client, context->packet.family,
                                                 context->packet.family == TRAP_IPV4 ? 24 : 48);
  struct trap_bucket* bucket;

  if (context->settings->announced.token_ns == 0)
    return 1;
  bucket = bpf_map_lookup_elem(&networks, &network);
  if (!bucket && !explaining) {
    struct trap_bucket fresh = {};

    bpf_map_update_elem(&networks, &network, &fresh, BPF_NOEXIST); /* another CPU may be first */
    bucket = bpf_map_lookup_elem(&networks, &network);
  }
  return !bucket || take_tokens(bucket, &context->settings->announced, context->monotonic_ns, 1);
}

/* Stores a verified announcement; never shortens one, so that a replay changes nothing. A full
 * bucket loses the entry that ends first. The end is written last: two CPUs that write one entry at
 * once leave one client or the other, never a valid mixture. */
static __noinline TRAP_MUST_USE enum trap_verdict
admit_announced(const struct packet_context* context, const struct trap_announced_key* key,
                const struct trap_announced* value) {
  __u64 hash = trap_announced_hash(key, context->settings->table_keys);
  struct trap_announced_bucket* bucket = announced_bucket(hash);
  struct trap_announced_entry* entry;
  __u32 at;

  if (!bucket)
    return TRAP_DROP_INTERNAL;
  entry = find_announced(bucket, key, hash);
  if (entry && entry->value.until_s + context->settings->clock_skew_s > unix_time(context).unix_s) {
    if (!explaining && entry->value.until_s < value->until_s)
      entry->value = *value;
    return TRAP_ANNOUNCE_ACCEPTED;
  }
  if (!network_allows(context, key->client))
    return TRAP_DROP_ANNOUNCE_CAP;
  if (explaining)
    return TRAP_ANNOUNCE_ACCEPTED;
  at = first_to_end(bucket);
  entry = &bucket->entries[at];
  __sync_lock_test_and_set(&entry->value.until_s, 0);
  entry->key = *key;
  entry->value.tag = value->tag;
  bucket->prints[at] = trap_announced_print(hash);
  __sync_lock_test_and_set(&entry->value.until_s, value->until_s);
  return TRAP_ANNOUNCE_ACCEPTED;
}
