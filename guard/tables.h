/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finds entries of `flows`, `announced` and `client_budgets`: tables of buckets in array maps, so
 * that a packet finds its entry, or that it has none, without a helper call, and makes one without
 * a lock (docs/adr/0018). Pure logic for BPF, daemon and tests. `buckets` is a power of two, at
 * most 2^24, because a hash has no more bits for it. */
#pragma once

#include "guard/maps.h"

/* Multilinear hashing: each 32-bit word times a secret of its own, modulo 2^64. The upper half of
 * the sum is strongly universal (Lemire, Kaser: Strongly Universal String Hashing is Fast, 2014):
 * two flows, chosen without knowledge of the secrets, collide as seldom as two at random. A chain
 * of mixes with known factors has flows that collide under every key, so that an admitted client
 * could push out the flow of its choice. The two products at the end spread the upper half over the
 * bits of both bucket indexes, so that rows of addresses do not become rows of buckets. */
TRAP_INLINE __u64 trap_flow_hash(const struct trap_flow_key* key,
                                 const struct trap_flow_keys* secret) {
  __u64 ports = (__u64)key->client_port | (__u64)key->service_port << 16;
  __u64 sum = secret->words[0] + secret->words[9] * ports;

  for (int i = 0; i < 4; i++) {
    sum += secret->words[1 + i] * (__u64)key->client.be32[i];
    sum += secret->words[5 + i] * (__u64)key->service.be32[i];
  }
  sum = (sum >> 32) * 0x9e3779b97f4a7c15ULL;
  return (sum ^ sum >> 32) * 0xbf58476d1ce4e5b9ULL;
}

/* A flow lies in one of two buckets: the first that has room when it is made. */
TRAP_INLINE __u32 trap_flow_bucket_index(__u64 hash, int second, __u32 buckets) {
  return (__u32)(second ? hash >> 16 : hash >> 40) & (buckets - 1);
}

/* The bucket of a half-open flow. Its network chooses where a row of buckets begins, its client
 * where a shorter row begins in that one (around its end), and the flow itself its place there. A
 * client is as wide as the scope that the service's tickets have, and its network as wide at least.
 */
TRAP_INLINE __u32 trap_half_open_index(const struct trap_flow_key* key, __u64 hash,
                                       const struct trap_guard_port* port,
                                       const struct trap_flow_keys* secret, __u32 buckets) {
  int v4 = trap_address_is_v4(&key->client);
  union trap_address masked = trap_address_mask(key->client, v4 ? TRAP_IPV4 : TRAP_IPV6,
                                                v4 ? port->scope_v4 : port->scope_v6);
  __u64 client = v4 ? TRAP_FROM_BE32(masked.be32[3]) : __builtin_bswap64(masked.raw64[0]);
  __u64 host = v4 ? 0 : __builtin_bswap64(masked.raw64[1]); /* of a scope beyond /64 */
  __u64 network = v4 ? client >> 8 : client >> 16;
  __u64 row = (network + secret->words[0]) * (secret->words[1] | 1);
  __u64 place = (client + secret->words[2]) * (secret->words[5] | 1) +
                host * (secret->words[6] | 1) + (host >> 32) * (secret->words[7] | 1);

  row = (row ^ row >> 32) * 0x9e3779b97f4a7c15ULL >> 40;
  place = ((place ^ place >> 32) * 0x9e3779b97f4a7c15ULL >> 40) +
          (hash & (TRAP_HALF_OPEN_BUCKETS_OF_CLIENT - 1));
  return (__u32)(row + (place & (TRAP_HALF_OPEN_BUCKETS_OF_NETWORK - 1))) & (buckets - 1);
}

/* The mark of a flow in `half_open_marks`. Without the secret of the hash an attacker cannot choose
 * flows that share a mark with others. */
TRAP_INLINE __u32 trap_half_open_mark_index(__u64 hash) {
  return (__u32)(hash >> (64 - TRAP_HALF_OPEN_MARK_BITS));
}

TRAP_INLINE __u16 trap_half_open_mark(__u64 seen_ns) {
  return (__u16)(seen_ns >> 30);
}

/* A flow with this mark may be half-open. One unit more at either end, because both times are cut
 * to units, and because another CPU may have seen the next tick of the clock. A mark of the last
 * round of the clock, 20 hours ago, costs a look-up. */
TRAP_INLINE int trap_may_be_half_open(__u16 mark, __u64 now_ns) {
  return (__u16)(trap_half_open_mark(now_ns) + 1 - mark) <= (TRAP_FLOW_HALF_OPEN_NS >> 30) + 2;
}

TRAP_INLINE int trap_flow_key_equal(const struct trap_flow_key* a, const struct trap_flow_key* b) {
  return a->client.raw64[1] == b->client.raw64[1] && a->client.raw64[0] == b->client.raw64[0] &&
         a->client_port == b->client_port && a->service_port == b->service_port &&
         a->service.raw64[1] == b->service.raw64[1] && a->service.raw64[0] == b->service.raw64[0];
}

TRAP_INLINE int trap_flow_is_live(const struct trap_guard_flow* flow, __u64 now_ns) {
  __u64 silence_ns = TRAP_FLOW_IDLE_NS;

  if (flow->flags & (TRAP_FLOW_CLOSING | TRAP_FLOW_HALF_OPEN))
    silence_ns = flow->flags & TRAP_FLOW_CLOSING ? TRAP_FLOW_CLOSING_NS : TRAP_FLOW_HALF_OPEN_NS;
  /* signed: another CPU may have seen the next tick of the clock */
  return flow->seen_ns > TRAP_FLOW_CLAIMED && (__s64)(now_ns - flow->seen_ns) < (__s64)silence_ns;
}

/* Two products that need not wait for each other, since every SYN of a flood asks; and a third,
 * because addresses come in rows, which one product alone lays upon few buckets if the key is of
 * the wrong kind. Only what lies above a bit of a word moves with it, so what differs between
 * clients has to be low: the last byte of an address is. */
TRAP_INLINE __u64 trap_announced_hash(const struct trap_announced_key* key,
                                      const __u64 table_keys[2]) {
  __u64 high =
      __builtin_bswap64(key->client.raw64[0]) ^ (__u64)key->port << 8 ^ (__u64)key->scope << 24;

  __u64 hash =
      high * (table_keys[0] | 1) + __builtin_bswap64(key->client.raw64[1]) * (table_keys[1] | 1);

  return (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ULL;
}

TRAP_INLINE __u32 trap_announced_bucket_index(__u64 hash, __u32 buckets) {
  return (__u32)(hash >> 40) & (buckets - 1);
}

/* One byte of the hash for each entry of a bucket, in one word; 0 for an entry that is empty. */
TRAP_INLINE __u8 trap_announced_print(__u64 hash) {
  __u8 print = (__u8)(hash >> 56);

  return print ? print : 1;
}

/* 0 if no entry of the bucket can have that print. Not 0 if one has, and now and then if none has:
 * Mycroft's test for a byte in a word. */
TRAP_INLINE __u64 trap_announced_may_hold(__u64 prints, __u8 print) {
  prints ^= print * 0x0101010101010101ULL;
  return (prints - 0x0101010101010101ULL) & ~prints & 0x8080808080808080ULL;
}

TRAP_INLINE int trap_announced_key_equal(const struct trap_announced_key* a,
                                         const struct trap_announced_key* b) {
  return trap_address_equal(&a->client, &b->client) && a->port == b->port && a->scope == b->scope &&
         a->pool == b->pool;
}

/* The number by which a client is known: two sums as in trap_flow_hash(), each with secrets of its
 * own. Two clients, chosen without the secrets, have the same one once in 2^62 times, and would
 * share budgets then. */
TRAP_INLINE __u64 trap_client_print(const struct trap_guard_client_key* key,
                                    const struct trap_client_keys* secret) {
  __u64 high = secret->words[0] + secret->words[5] * (__u64)key->slot;
  __u64 low = secret->words[6] + secret->words[11] * (__u64)key->slot;

  for (int i = 0; i < 4; i++) {
    high += secret->words[1 + i] * (__u64)key->prefix.be32[i];
    low += secret->words[7 + i] * (__u64)key->prefix.be32[i];
  }
  return (high >> 32 << 32 | low >> 32) | TRAP_CLIENT_IS_THERE | TRAP_CLIENT_IS_PRINT;
}

/* What stands in a print's place while its CPU writes the entry. */
TRAP_INLINE __u64 trap_client_claim(__u64 print) {
  return print & ~TRAP_CLIENT_IS_THERE;
}

/* A client lies in the first of its two buckets that has an empty place when it comes. Places never
 * become empty again, so a client whose first bucket has one is not in the second. */
TRAP_INLINE __u32 trap_client_bucket_index(__u64 print, int second, __u32 buckets) {
  __u64 hash = ((print ^ print >> 32) & 0xffffffff) * 0x9e3779b97f4a7c15ULL;

  hash = (hash ^ hash >> 32) * 0xbf58476d1ce4e5b9ULL;
  return (__u32)(second ? hash >> 16 : hash >> 40) & (buckets - 1);
}

/* What a client would lose with its entry: the time until its budgets are full again, and its open
 * flows. */
TRAP_INLINE __u64 trap_client_loss(const struct trap_guard_client* client) {
  __u64 full_at_ns = client->syns.full_at_ns;

  if (client->announced_syns.full_at_ns > full_at_ns)
    full_at_ns = client->announced_syns.full_at_ns;
  if (client->packets.full_at_ns > full_at_ns)
    full_at_ns = client->packets.full_at_ns;
  if (client->kib.full_at_ns > full_at_ns)
    full_at_ns = client->kib.full_at_ns;
  return full_at_ns >> 1 | (__u64) !!client->flows << 63;
}

/* A service and the /24 or /48 around a client in one word, or the client's own prefix if that is
 * wider. It is never 0 or TRAP_NETWORK_CLAIMED: slots begin with 1. */
TRAP_INLINE __u64 trap_network_key(const struct trap_guard_client_key* client) {
  int v4 = trap_address_is_v4(&client->prefix);
  __u64 network = v4 ? TRAP_FROM_BE32(client->prefix.be32[3]) >> 8
                     : __builtin_bswap64(client->prefix.raw64[0]) >> 16;

  return network << 16 | (__u64)(client->slot & 0xff) << 8 | (v4 ? 4 : 6);
}

/* The first of the places in a row where a network can be. */
TRAP_INLINE __u32 trap_network_index(__u64 key, const __u64 table_keys[2]) {
  __u64 hash = key * (table_keys[0] | 1) + (key >> 32) * (table_keys[1] | 1);

  hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ULL;
  return (__u32)(hash >> 40) & (TRAP_NETWORKS - TRAP_NETWORK_WAYS);
}
