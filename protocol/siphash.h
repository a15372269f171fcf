/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * 2012), and SipHash-1-3 for what lives for minutes (docs/adr/0041). Messages here have a length
 * known when compiling, so the loop unrolls and nothing branches on data. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

#define TRAP_KEY_BYTES 16
#define TRAP_SIP_WORD_ROUNDS 2
#define TRAP_SIP_END_ROUNDS 4
#define TRAP_SIP13_WORD_ROUNDS 1
#define TRAP_SIP13_END_ROUNDS 3

struct trap_sip {
  __u64 v0, v1, v2, v3;
};

/* A key in the form for computing: the state of SipHash before it needs the message, which is after
 * half of the first round. As secret as the 16 bytes, which can be computed from it. */
struct trap_key {
  struct trap_sip start;
};

TRAP_ASSERT(sizeof(struct trap_key) == 32, "keys are shared through maps");

TRAP_INLINE __u64 trap_rotl64(__u64 x, int bits) {
  return x << bits | x >> (64 - bits);
}

/* The half of a round that touches v0 and v1 only. */
TRAP_INLINE void trap_sip_first_half(struct trap_sip* s) {
  s->v0 += s->v1;
  s->v1 = trap_rotl64(s->v1, 13) ^ s->v0;
  s->v0 = trap_rotl64(s->v0, 32);
}

TRAP_INLINE void trap_sip_second_half(struct trap_sip* s) {
  s->v2 += s->v3;
  s->v3 = trap_rotl64(s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = trap_rotl64(s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = trap_rotl64(s->v1, 17) ^ s->v2;
  s->v2 = trap_rotl64(s->v2, 32);
}

TRAP_INLINE void trap_sip_round(struct trap_sip* s) {
  trap_sip_first_half(s);
  trap_sip_second_half(s);
}

/* The key of 16 bytes k, given as two little-endian words: k0 = LE64(k[0..7]), k1 = LE64(k[8..15]).
 */
TRAP_INLINE struct trap_key trap_key_make(__u64 k0, __u64 k1) {
  struct trap_key key;

  key.start.v0 = k0 ^ 0x736f6d6570736575ULL;
  key.start.v1 = k1 ^ 0x646f72616e646f6dULL;
  key.start.v2 = k0 ^ 0x6c7967656e657261ULL;
  key.start.v3 = k1 ^ 0x7465646279746573ULL;
  trap_sip_first_half(&key.start);
  return key;
}

/* v2 and v3 hold the words of the key, from which v0 and v1 follow: comparing two is enough. */
TRAP_INLINE int trap_key_equal(const struct trap_key* a, const struct trap_key* b) {
  return a->start.v2 == b->start.v2 && a->start.v3 == b->start.v3;
}

/* 1 to 4 rounds; the number is known when compiling, here and below. */
TRAP_INLINE void trap_sip_rounds(struct trap_sip* s, int rounds) {
  trap_sip_round(s);
  if (rounds > 1)
    trap_sip_round(s);
  if (rounds > 2)
    trap_sip_round(s);
  if (rounds > 3)
    trap_sip_round(s);
}

/* Starts a hash with its first word. */
TRAP_INLINE void trap_sip_begin(struct trap_sip* s, const struct trap_key* key, __u64 m,
                                int rounds) {
  *s = key->start;
  s->v3 ^= m;
  trap_sip_second_half(s);
  if (rounds > 1)
    trap_sip_rounds(s, rounds - 1);
  s->v0 ^= m;
}

TRAP_INLINE void trap_sip_word(struct trap_sip* s, __u64 m, int rounds) {
  s->v3 ^= m;
  trap_sip_rounds(s, rounds);
  s->v0 ^= m;
}

TRAP_INLINE __u64 trap_sip_end(struct trap_sip* s, int rounds) {
  s->v2 ^= 0xff;
  trap_sip_rounds(s, rounds);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

TRAP_INLINE __u64 trap_sip_words(const struct trap_key* key, const __u64* words, __u32 count,
                                 __u64 tail, __u32 tail_bytes, int word_rounds, int end_rounds) {
  __u64 last = tail | (__u64)((count * 8 + tail_bytes) & 0xff) << 56;
  struct trap_sip s;

  trap_sip_begin(&s, key, count ? words[0] : last, word_rounds);
#ifdef __bpf__
#pragma unroll
#endif
  for (__u32 i = 1; i < count; i++)
    trap_sip_word(&s, words[i], word_rounds);
  if (count)
    trap_sip_word(&s, last, word_rounds);
  return trap_sip_end(&s, end_rounds);
}

/* SipHash-2-4 of a message of tail_bytes + 8 * words bytes, given as little-endian words; the tail
 * (0 to 7 bytes) is the message's last bytes in the low end of `tail`, zero above. */
TRAP_INLINE __u64 trap_siphash_words(const struct trap_key* key, const __u64* words, __u32 count,
                                     __u64 tail, __u32 tail_bytes) {
  return trap_sip_words(key, words, count, tail, tail_bytes, TRAP_SIP_WORD_ROUNDS,
                        TRAP_SIP_END_ROUNDS);
}

/* As trap_siphash_words(), by SipHash-1-3: for cookies (docs/adr/0041). */
TRAP_INLINE __u64 trap_siphash13_words(const struct trap_key* key, const __u64* words, __u32 count,
                                       __u64 tail, __u32 tail_bytes) {
  return trap_sip_words(key, words, count, tail, tail_bytes, TRAP_SIP13_WORD_ROUNDS,
                        TRAP_SIP13_END_ROUNDS);
}
