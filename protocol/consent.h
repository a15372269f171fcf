/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* CONSENT (docs/protocol.md 10): a guard that let a SYN in by its ticket says so in the SYN-ACK.
 * Only the ticket's bytes go into the value, so a host that has no guard cannot send it, and a
 * network that rewrites sequence numbers does not change it (docs/adr/0035-consent.md). */
#pragma once

#include "protocol/siphash.h"
#include "protocol/wire.h"

#define TRAP_DOMAIN_CONSENT 0x4eULL

/* The option in a block of whole words, as a guard appends it to the options of a SYN-ACK: behind
 * NOPs, of which kind 0x56 needs none. */
#define TRAP_CONSENT_OPTION_BYTES_EXPERIMENTAL                                                     \
  (TRAP_HEADER_BYTES_EXPERIMENTAL + (__u32)sizeof(struct trap_consent_body))
#define TRAP_CONSENT_BLOCK_BYTES (TRAP_HEADER_BYTES + (__u32)sizeof(struct trap_consent_body))
#define TRAP_CONSENT_BLOCK_BYTES_EXPERIMENTAL 12U

union trap_consent_block {
  __u8 bytes[TRAP_CONSENT_BLOCK_BYTES_EXPERIMENTAL];
  __be32 words[TRAP_CONSENT_BLOCK_BYTES_EXPERIMENTAL / 4];
};

TRAP_ASSERT(TRAP_CONSENT_BLOCK_BYTES == 8, "the block of kind 0x56 is the option, two whole words");
TRAP_ASSERT(sizeof(union trap_consent_block) == 12, "the block of kind 253 has three words");

TRAP_INLINE __u32 trap_consent_block_bytes(int experimental) {
  return experimental ? TRAP_CONSENT_BLOCK_BYTES_EXPERIMENTAL : TRAP_CONSENT_BLOCK_BYTES;
}

/* The value for a ticket, as its four bytes lie in memory. */
TRAP_INLINE __u32 trap_consent(const struct trap_ticket* ticket) {
  struct trap_key key;
  __u64 k0;
  __u32 k1;

  __builtin_memcpy(&k0, ticket, 8);
  __builtin_memcpy(&k1, (const __u8*)ticket + 8, 4);
  key = trap_key_make(k0, k1);
  return (__u32)trap_siphash_words(&key, (const __u64*)0, 0, TRAP_DOMAIN_CONSENT, 1);
}

/* Writes the block for a value, in the encoding of the TICKET that it answers; returns its length,
 * 8 or 12. */
TRAP_INLINE __u32 trap_put_consent(union trap_consent_block* block, __u32 value, int experimental) {
  struct trap_consent_body body = {};

  __builtin_memcpy(body.value, &value, sizeof(body.value));
  if (experimental) {
    block->bytes[0] = block->bytes[1] = 1; /* NOP */
    trap_put_header(block->bytes + 2, TRAP_CONSENT, sizeof(body), 1);
    __builtin_memcpy(block->bytes + 2 + TRAP_HEADER_BYTES_EXPERIMENTAL, &body, sizeof(body));
    return TRAP_CONSENT_BLOCK_BYTES_EXPERIMENTAL;
  }
  trap_put_header(block->bytes, TRAP_CONSENT, sizeof(body), 0);
  __builtin_memcpy(block->bytes + TRAP_HEADER_BYTES, &body, sizeof(body));
  return TRAP_CONSENT_BLOCK_BYTES;
}

/* The value that is in the body of a CONSENT. */
TRAP_INLINE __u32 trap_get_consent(const struct trap_consent_body* body) {
  __u32 value;

  __builtin_memcpy(&value, body->value, sizeof(value));
  return value;
}
