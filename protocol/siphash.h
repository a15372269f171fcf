/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
 * Messages here have a length known when compiling, so the loop unrolls and nothing branches on data. */
#ifndef TRAP_PROTOCOL_SIPHASH_H
#define TRAP_PROTOCOL_SIPHASH_H

#include <linux/types.h>

#include "protocol/assert.h"

/* The 16 key bytes k as two little-endian words: k0 = LE64(k[0..7]), k1 = LE64(k[8..15]). */
struct trap_key {
  __u64 k0;
  __u64 k1;
};

TRAP_ASSERT(sizeof(struct trap_key) == 16, "a SipHash key is 16 bytes");

struct trap_sip {
  __u64 v0, v1, v2, v3;
};

TRAP_INLINE __u64 trap_rotl64(__u64 x, int bits) {
  return x << bits | x >> (64 - bits);
}

TRAP_INLINE void trap_sip_round(struct trap_sip* s) {
  s->v0 += s->v1;
  s->v1 = trap_rotl64(s->v1, 13) ^ s->v0;
  s->v0 = trap_rotl64(s->v0, 32);
  s->v2 += s->v3;
  s->v3 = trap_rotl64(s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = trap_rotl64(s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = trap_rotl64(s->v1, 17) ^ s->v2;
  s->v2 = trap_rotl64(s->v2, 32);
}

TRAP_INLINE void trap_sip_begin(struct trap_sip* s, const struct trap_key* key) {
  s->v0 = key->k0 ^ 0x736f6d6570736575ULL;
  s->v1 = key->k1 ^ 0x646f72616e646f6dULL;
  s->v2 = key->k0 ^ 0x6c7967656e657261ULL;
  s->v3 = key->k1 ^ 0x7465646279746573ULL;
}

TRAP_INLINE void trap_sip_word(struct trap_sip* s, __u64 m) {
  s->v3 ^= m;
  trap_sip_round(s);
  trap_sip_round(s);
  s->v0 ^= m;
}

TRAP_INLINE __u64 trap_sip_end(struct trap_sip* s) {
  s->v2 ^= 0xff;
  trap_sip_round(s);
  trap_sip_round(s);
  trap_sip_round(s);
  trap_sip_round(s);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* Hash of a message of tail_bytes + 8 * words bytes, given as little-endian words; the tail (0 to 7 bytes) is
 * the message's last bytes in the low end of `tail`, zero above. */
TRAP_INLINE __u64 trap_siphash_words(const struct trap_key* key, const __u64* words, __u32 count, __u64 tail, __u32 tail_bytes) {
  struct trap_sip s;

  trap_sip_begin(&s, key);
#ifdef __bpf__
#pragma unroll
#endif
  for (__u32 i = 0; i < count; i++)
    trap_sip_word(&s, words[i]);
  trap_sip_word(&s, tail | (__u64)((count * 8 + tail_bytes) & 0xff) << 56);
  return trap_sip_end(&s);
}

#endif
