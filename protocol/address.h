/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An IP address in 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), and its masking to a scope.
 * One form for both families lets every map and every check have one definition. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

enum trap_family {
  TRAP_FAMILY_NONE = 0,
  TRAP_IPV4 = 4,
  TRAP_IPV6 = 6,
};

/* Words hold the address bytes as they lie in memory (network byte order), readable at every width.
 */
union trap_address {
  __u8 bytes[16];
  __be32 be32[4];
  __u64 raw64[2];
};

TRAP_ASSERT(sizeof(union trap_address) == 16, "an address is 16 bytes");

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "TRAP is written for little-endian machines: raw words feed SipHash without swapping"
#endif

#define TRAP_BE16(x) ((__be16)__builtin_bswap16((__u16)(x)))
#define TRAP_BE32(x) ((__be32)__builtin_bswap32((__u32)(x)))
#define TRAP_FROM_BE16(x) __builtin_bswap16((__u16)(x))
#define TRAP_FROM_BE32(x) __builtin_bswap32((__u32)(x))

TRAP_INLINE union trap_address trap_address_v4(__be32 address) {
  union trap_address a;

  a.raw64[0] = 0;
  a.raw64[1] =
      TRAP_BE32(0x0000ffff) |
      (__u64)address << 32; /* one word: it is read as one, which two halves would hold up */
  return a;
}

TRAP_INLINE int trap_address_is_v4(const union trap_address* a) {
  return a->raw64[0] == 0 && a->be32[2] == TRAP_BE32(0x0000ffff);
}

TRAP_INLINE int trap_address_equal(const union trap_address* a, const union trap_address* b) {
  return a->raw64[0] == b->raw64[0] && a->raw64[1] == b->raw64[1];
}

/* One 64-bit half of a network mask of `bits` (0 to 64) leading ones, as it lies in memory. */
TRAP_INLINE __u64 trap_mask_half(__u32 bits) {
  if (bits >= 64)
    return ~0ULL;
  return bits == 0 ? 0 : __builtin_bswap64(~0ULL << (64 - bits));
}

/* The address with all but its first `scope` bits cleared; scope counts within the family: 0 to 32
 * or 0 to 128. */
TRAP_INLINE union trap_address trap_address_mask(union trap_address a, __u32 family, __u32 scope) {
  __u32 bits = family == TRAP_IPV4 ? scope + 96 : scope;

  if (bits >= 128)
    return a;
  if (bits == 64) { /* most IPv6 scopes are */
    a.raw64[1] = 0;
    return a;
  }
  a.raw64[0] &= trap_mask_half(bits > 64 ? 64 : bits);
  a.raw64[1] &= trap_mask_half(bits > 64 ? bits - 64 : 0);
  return a;
}

/* A source that no host on a network can have (RFC 1122 3.2.1.3, RFC 4291 2.5 and 2.7):
 * unspecified, loopback, multicast, of IPv4 also 0.0.0.0/8, broadcast and class E. Link-local ones
 * are not among them. */
TRAP_INLINE int trap_address_is_martian(const union trap_address* a, __u32 family) {
  __u32 first = TRAP_FROM_BE32(a->be32[family == TRAP_IPV4 ? 3 : 0]);

  if (family == TRAP_IPV4)
    return first >> 24 == 0 || first >> 24 == 127 || first >> 29 == 7;
  return first >> 24 == 0xff || (a->raw64[0] == 0 && (a->raw64[1] & ~(1ULL << 56)) == 0);
}

TRAP_INLINE int trap_v4_is_forbidden(__be32 address) {
  __u32 a = TRAP_FROM_BE32(address);

  return a >> 24 == 0 || a >> 24 == 127 || a >> 16 == 0xa9fe || a >> 29 == 7;
}

TRAP_INLINE int trap_v4_is_private(__be32 address) {
  __u32 a = TRAP_FROM_BE32(address);

  return a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x6440 >> 6 ||
         a >> 8 == 0xc00000 || a >> 17 == 0xc612 >> 1;
}

/* The IPv4 address that packets to this IPv6 address end up at: behind a translator with one of its
 * well-known prefixes (RFC 6052 2.2, RFC 8215), by 6to4 (RFC 3056 2) or Teredo (RFC 4380 4). 1 if
 * there is one. */
TRAP_INLINE int trap_address_embeds_v4(const union trap_address* a, __be32* address) {
  __u32 first = TRAP_FROM_BE32(a->be32[0]);
  __u32 second = TRAP_FROM_BE32(a->be32[1]);

  if (first >> 16 == 0x2002) {
    *address = TRAP_BE32(first << 16 | second >> 16);
    return 1;
  }
  if (first == 0x20010000) {
    *address = ~a->be32[3];
    return 1;
  }
  if (first != 0x0064ff9b || (second >> 16 != 1 && (second || a->be32[2])))
    return 0;
  *address = a->be32[3];
  if (second >> 16 == 1 && !a->be32[3]) /* a prefix of 48 bits; bits 64 to 71 are skipped */
    *address = TRAP_BE32(second << 16 | (TRAP_FROM_BE32(a->be32[2]) >> 8 & 0xffff));
  return 1;
}

/* The IPv4 address in an IPv6 one that has a translator's prefix of `bits` bits (RFC 6052 2.2): 32,
 * 40, 48, 56, 64 or 96. Bits 64 to 71 are skipped. 1 if the address has the prefix. */
TRAP_INLINE int trap_nat64_embeds_v4(const union trap_address* a, const union trap_address* prefix,
                                     __u32 bits, __be32* address) {
  __u64 upper = __builtin_bswap64(a->raw64[0]), lower = __builtin_bswap64(a->raw64[1]);

  if ((a->raw64[0] ^ prefix->raw64[0]) & trap_mask_half(bits))
    return 0;
  if (bits > 64) {
    if (a->be32[2] != prefix->be32[2])
      return 0;
    *address = a->be32[3];
    return 1;
  }
  *address = TRAP_BE32(upper << (bits - 32) | (lower << 8 >> 32) >> (64 - bits));
  return bits >= 32;
}

/* docs/protocol.md 11: an address that no redirect may name, whatever the policy. */
TRAP_INLINE int trap_address_is_forbidden(const union trap_address* a, __u32 family) {
  __u32 first = TRAP_FROM_BE32(a->be32[0]);
  __be32 embedded;

  if (family == TRAP_IPV4)
    return trap_v4_is_forbidden(a->be32[3]);
  if (a->raw64[0] == 0) /* ::/96 with :: and ::1, and v4-mapped */
    return a->be32[2] == 0 || a->be32[2] == TRAP_BE32(0x0000ffff);
  return first >> 22 == 0xfe80 >> 6 || first >> 24 == 0xff ||
         (trap_address_embeds_v4(a, &embedded) && trap_v4_is_forbidden(embedded));
}

/* docs/protocol.md 11: an address that only a private service, or the administrator, may redirect
 * to. */
TRAP_INLINE int trap_address_is_private(const union trap_address* a, __u32 family) {
  __u32 first = TRAP_FROM_BE32(a->be32[0]);
  __be32 embedded;

  if (family == TRAP_IPV4)
    return trap_v4_is_private(a->be32[3]);
  return first >> 25 == 0xfc >> 1 || first >> 22 == 0xfec0 >> 6 ||
         (first == 0x01000000 && !a->be32[1]) ||
         (trap_address_embeds_v4(a, &embedded) && trap_v4_is_private(embedded));
}
