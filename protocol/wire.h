/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TRAP wire format: option header, the six option bodies, and the limits of docs/protocol.md.
 * Builds unchanged for BPF and for the host; everything on the wire is packed and in network byte
 * order. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

#define TRAP_VERSION 1

/* docs/protocol.md 3: kind 0x56 as in the paper, or the shared experimental kind of RFC 6994. */
#define TRAP_KIND_RESERVED 0x56
#define TRAP_KIND_EXPERIMENTAL 253
#define TRAP_EXPERIMENT_ID 0x5452

enum trap_option_type {
  TRAP_OPTION_NONE = 0,
  TRAP_OFFER = 1,
  TRAP_ACCEPT = 2,
  TRAP_REDIRECT = 3,
  TRAP_TICKET = 4,
  TRAP_ANNOUNCE = 5,
  TRAP_CONSENT = 6,
};

/* Bytes before the body: kind, length, [experiment id,] version and type. */
#define TRAP_HEADER_BYTES 3
#define TRAP_HEADER_BYTES_EXPERIMENTAL 5

#define TRAP_TCP_HEADER_BYTES 20
#define TRAP_TCP_OPTIONS_MAX 40

#define TRAP_LIFETIME_MAX_S 4096
/* How far the clocks of servers and guards may differ: by default, and the most that a guard can be
 * configured for. */
#define TRAP_CLOCK_SKEW_S 60
#define TRAP_CLOCK_SKEW_MAX_S 3600

#define TRAP_SCOPE_V4 32
#define TRAP_SCOPE_V6 64

#define TRAP_GUARD_NAME_MAX 63

struct trap_ticket {
  __u8 epoch;    /* low 8 bits of the epoch whose key made the MAC */
  __u8 tag;      /* policy class, 0: none */
  __be16 expiry; /* ticket time: Unix time / 4, modulo 2^16 */
  __u8 mac[8];
} __attribute__((packed));

struct trap_hello_body { /* OFFER and ACCEPT */
  __u8 flags;
} __attribute__((packed));

struct trap_redirect_body { /* followed by the address, 4 or 16 bytes */
  __u8 flags;
  __be16 port;
  __be16 lifetime_s;
  struct trap_ticket ticket;
} __attribute__((packed));

struct trap_ticket_body {
  __u8 flags;
  struct trap_ticket ticket;
} __attribute__((packed));

struct trap_announce_body { /* followed by the client address, 4 or 16 bytes */
  __u8 flags;
  __be16 lifetime_s;
  __u8 scope;
  __u8 tag;
  __be32 issued_s;
  __u8 mac[8];
} __attribute__((packed));

struct trap_consent_body {
  __u8 flags;
  __u8 value[4];
} __attribute__((packed));

TRAP_ASSERT(sizeof(struct trap_ticket) == 12, "ticket is 12 bytes on the wire");
TRAP_ASSERT(sizeof(struct trap_hello_body) + TRAP_HEADER_BYTES == 4,
            "OFFER and ACCEPT are 4 bytes");
TRAP_ASSERT(sizeof(struct trap_redirect_body) + TRAP_HEADER_BYTES + 4 == 24,
            "REDIRECT v4 is 24 bytes");
TRAP_ASSERT(sizeof(struct trap_redirect_body) + TRAP_HEADER_BYTES + 16 == 36,
            "REDIRECT v6 is 36 bytes");
TRAP_ASSERT(sizeof(struct trap_ticket_body) + TRAP_HEADER_BYTES == 16, "TICKET is 16 bytes");
TRAP_ASSERT(sizeof(struct trap_announce_body) + TRAP_HEADER_BYTES + 4 == 24,
            "ANNOUNCE v4 is 24 bytes");
TRAP_ASSERT(sizeof(struct trap_announce_body) + TRAP_HEADER_BYTES + 16 == 36,
            "ANNOUNCE v6 is 36 bytes");
TRAP_ASSERT(sizeof(struct trap_consent_body) + TRAP_HEADER_BYTES == 8, "CONSENT is 8 bytes");

/* Where a TICKET stands among the options of a SYN (docs/protocol.md 11). A client appends it to a
 * SYN that a stack has made: it is the last option, and a guard looks for it there before it walks.
 * The SYN that a client sends again in answer to a REDIRECT has it first. Either way it is a block
 * of whole words, with NOPs before it. */
#define TRAP_TICKET_OPTION_BYTES ((__u32)sizeof(struct trap_ticket_body) + TRAP_HEADER_BYTES)
#define TRAP_TICKET_OPTION_BYTES_EXPERIMENTAL                                                      \
  ((__u32)sizeof(struct trap_ticket_body) + TRAP_HEADER_BYTES_EXPERIMENTAL)
#define TRAP_TICKET_BLOCK_BYTES ((TRAP_TICKET_OPTION_BYTES + 3) / 4 * 4)
#define TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL ((TRAP_TICKET_OPTION_BYTES_EXPERIMENTAL + 3) / 4 * 4)

TRAP_INLINE __u32 trap_ticket_option_bytes(int experimental) {
  return experimental ? TRAP_TICKET_OPTION_BYTES_EXPERIMENTAL : TRAP_TICKET_OPTION_BYTES;
}

TRAP_INLINE __u32 trap_ticket_block_bytes(int experimental) {
  return experimental ? TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL : TRAP_TICKET_BLOCK_BYTES;
}

/* Offset, in the TCP header of header_bytes, of a TICKET that is the last option. */
TRAP_INLINE __u32 trap_last_ticket_offset(__u32 header_bytes, int experimental) {
  return header_bytes - trap_ticket_option_bytes(experimental);
}

/* Bytes of an option's body for its type and the family's address length (4 or 16); 0 for an
 * unknown type. */
TRAP_INLINE __u32 trap_body_bytes(__u32 type, __u32 address_bytes) {
  switch (type) {
  case TRAP_OFFER:
  case TRAP_ACCEPT:
    return sizeof(struct trap_hello_body);
  case TRAP_REDIRECT:
    return sizeof(struct trap_redirect_body) + address_bytes;
  case TRAP_TICKET:
    return sizeof(struct trap_ticket_body);
  case TRAP_ANNOUNCE:
    return sizeof(struct trap_announce_body) + address_bytes;
  case TRAP_CONSENT:
    return sizeof(struct trap_consent_body);
  default:
    return 0;
  }
}

/* Writes an option header (3 or 5 bytes) for a body of body_bytes at out; returns its length. */
TRAP_INLINE __u32 trap_put_header(__u8* out, __u32 type, __u32 body_bytes, int experimental) {
  if (experimental) {
    out[0] = TRAP_KIND_EXPERIMENTAL;
    out[1] = (__u8)(TRAP_HEADER_BYTES_EXPERIMENTAL + body_bytes);
    out[2] = TRAP_EXPERIMENT_ID >> 8;
    out[3] = TRAP_EXPERIMENT_ID & 0xff;
    out[4] = (__u8)(TRAP_VERSION << 4 | type);
    return TRAP_HEADER_BYTES_EXPERIMENTAL;
  }
  out[0] = TRAP_KIND_RESERVED;
  out[1] = (__u8)(TRAP_HEADER_BYTES + body_bytes);
  out[2] = (__u8)(TRAP_VERSION << 4 | type);
  return TRAP_HEADER_BYTES;
}
