/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The SYN cookie of services that serve, where the kernel takes TRAP's word for a handshake
 * (bpf_sk_assign_tcp_reqsk, Linux 6.9): 28 bits of SipHash-1-3, or 25 and three of options, three
 * bits that say which MSS, and one bit of window parity. A matter of TRAP servers among themselves:
 * clients echo it. */
#pragma once

#include "protocol/cookie.h"

#define TRAP_WINDOW_IN_EPOCH ((1u << TRAP_WINDOWS_PER_EPOCH_SHIFT) - 1)

/* The time in the timestamp of a SYN-ACK: ticks of 2^20 ns, 26 bits. Of Unix time, which the
 * servers of a fleet share. */
#define TRAP_SERVED_TICK_BITS 26

TRAP_INLINE __u32 trap_served_ticks(__u64 unix_ns) {
  return (__u32)(unix_ns >> 20) & ((1u << TRAP_SERVED_TICK_BITS) - 1);
}

/* The milliseconds from one reading to a later one; 0 if they are no round trip: the client's ACK
 * was lost, or clocks differ. */
#define TRAP_ROUND_TRIP_MOST_MS 3000

TRAP_INLINE __u32 trap_served_elapsed_ms(__u32 earlier, __u32 later) {
  __u64 ticks = (later - earlier) & ((1u << TRAP_SERVED_TICK_BITS) - 1);
  __u64 elapsed_ms = ticks * 1048576 / 1000000;

  return elapsed_ms <= TRAP_ROUND_TRIP_MOST_MS ? (__u32)elapsed_ms : 0;
}

/* The MSS of a client is rounded down to one of these: what is common, the least that each family
 * allows, and jumbo frames. */
TRAP_INLINE __u32 trap_served_mss(__u32 index) {
  switch (index & 7) {
  case 0:
    return 536;
  case 1:
    return 1220;
  case 2:
    return 1300;
  case 3:
    return 1360;
  case 4:
    return 1400;
  case 5:
    return 1440;
  case 6:
    return 1460;
  default:
    return 8900;
  }
}

/* The greatest of them that is at most `mss`, or the least. */
TRAP_INLINE __u32 trap_served_mss_index(__u32 mss) {
  if (mss >= 1440)
    return mss >= 8900 ? 7 : mss >= 1460 ? 6 : 5;
  if (mss >= 1360)
    return mss >= 1400 ? 4 : 3;
  return mss >= 1300 ? 2 : mss >= 1220 ? 1 : 0;
}

/* 31 bits in place of the service. A cookie of any service proves its client's address, so that two
 * services may share these bits; they save IPv6 two blocks of SipHash and IPv4 one. */
TRAP_INLINE __u32 trap_served_bits(const union trap_address* server, __be16 port) {
  return (__u32)(((server->raw64[0] ^ server->raw64[1] * 0xff51afd7ed558ccdULL ^ port) *
                  0x9e3779b97f4a7c15ULL) >>
                 33);
}

/* The cookie (host byte order) for a window, with the cookie key of epoch window >> 6. The
 * message's length is its domain: it is none of protocol/. */
TRAP_INLINE __u32 trap_served_cookie(const struct trap_key* key, const struct trap_connection* c,
                                     __u32 window, __u32 mss_index) {
  __u64 tail = (__u64)c->client_port | (__u64)mss_index << 16 |
               (__u64)(window & TRAP_WINDOW_IN_EPOCH) << 19 |
               (__u64)trap_served_bits(&c->server, c->server_port) << 25;
  __u64 hash;

  if (c->family == TRAP_IPV4) {
    __u64 word = (__u64)c->client.be32[3] | (__u64)c->client_isn << 32;

    hash = trap_siphash13_words(key, &word, 1, tail, 7);
  } else {
    __u64 words[3] = {c->client.raw64[0], c->client.raw64[1], c->client_isn};

    hash = trap_siphash13_words(key, words, 3, tail, 7);
  }
  return (__u32)hash << 4 | mss_index << 1 | (window & 1);
}

/* A client without timestamps cannot echo its options in one. They take three bits of the hash
 * then: none, SACK, or SACK with a window scale that is rounded down to one of six. A smaller scale
 * makes the client's window seem smaller, never larger. */
#define TRAP_PLAIN_SACK 1u /* without a window scale; greater ones have both */

TRAP_INLINE __u32 trap_served_plain_options(int has_scale, __u32 scale) {
  if (!has_scale)
    return TRAP_PLAIN_SACK;
  if (scale >= 6)
    return scale >= 10 ? 7 : scale >= 8 ? 6 : scale - 2;
  return scale >= 2 ? 3 : 2;
}

TRAP_INLINE __u32 trap_served_plain_scale(__u32 options) {
  if (options >= 4)
    return options == 7 ? 10 : options + 2;
  return options == 3 ? 2 : 0;
}

/* The cookie of a client without timestamps: 25 bits of hash. 0 options: the cookie as it is. */
TRAP_INLINE __u32 trap_served_cookie_with(__u32 cookie, __u32 options) {
  return options ? (cookie >> 4) << 7 | options << 4 | (cookie & 15) : cookie;
}

TRAP_INLINE __u32 trap_served_cookie_options(__u32 cookie) {
  return cookie >> 4 & 7;
}

/* Which MSS a cookie says. */
TRAP_INLINE __u32 trap_served_cookie_mss_index(__u32 cookie) {
  return cookie >> 1 & 7;
}
