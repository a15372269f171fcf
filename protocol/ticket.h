/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* MACs of tickets and announcements (docs/protocol.md 8 and 9). */
#pragma once

#include "protocol/address.h"
#include "protocol/clock.h"
#include "protocol/siphash.h"
#include "protocol/wire.h"

#define TRAP_DOMAIN_ANNOUNCE 0x41ULL

/* The subject of a ticket: a client scope at a service port. The client's address need not be
 * masked yet. */
struct trap_grant {
  union trap_address client;
  __be16 port; /* of the backend */
  __u8 family;
  __u8 scope;
};

/* MAC of `ticket` (its mac field is not read) for a grant: over 6 bytes and the 4, 8 or 16 bytes of
 * the address that the scope leaves. A guard computes it for every forged ticket, so no byte is in
 * it that the key stands for, and an IPv6 /64 costs what an IPv4 address does.
 */
TRAP_INLINE __u64 trap_ticket_mac(const struct trap_key* key, const struct trap_ticket* ticket,
                                  const struct trap_grant* grant) {
  union trap_address client = trap_address_mask(grant->client, grant->family, grant->scope);
  __u64 first = grant->family == TRAP_IPV4 ? client.be32[3] : client.raw64[0];
  __u64 rest = first >> 16; /* of the bytes that do not fit into the first word */
  __u64 bytes = grant->family == TRAP_IPV4 ? 10 : 14;
  struct trap_sip sip;

  trap_sip_begin(&sip, key,
                 (__u64)ticket->tag | (__u64)grant->scope << 8 | (__u64)ticket->expiry << 16 |
                     (__u64)grant->port << 32 | first << 48,
                 TRAP_SIP_WORD_ROUNDS);
  if (grant->family == TRAP_IPV6 && grant->scope > 64) {
    trap_sip_word(&sip, rest | client.raw64[1] << 48, TRAP_SIP_WORD_ROUNDS);
    rest = client.raw64[1] >> 16;
    bytes = 22;
  }
  trap_sip_word(&sip, rest | bytes << 56, TRAP_SIP_WORD_ROUNDS);
  return trap_sip_end(&sip, TRAP_SIP_END_ROUNDS);
}

/* MAC of an announcement (its mac field is not read) for a grant; the announcement's scope must be
 * the grant's. */
TRAP_INLINE __u64 trap_announce_mac(const struct trap_key* key,
                                    const struct trap_announce_body* announce,
                                    const struct trap_grant* grant) {
  union trap_address client = trap_address_mask(grant->client, grant->family, grant->scope);
  __u64 head = TRAP_DOMAIN_ANNOUNCE | (__u64)announce->tag << 8 | (__u64)grant->scope << 16 |
               (__u64)announce->lifetime_s << 32 | (__u64)grant->port << 48;

  if (grant->family == TRAP_IPV4) {
    __u64 words[2] = {head, (__u64)announce->issued_s | (__u64)client.be32[3] << 32};

    return trap_siphash_words(key, words, 2, 0, 0);
  }
  __u64 words[3] = {head, (__u64)announce->issued_s | (__u64)client.be32[0] << 32,
                    (__u64)client.be32[1] | (__u64)client.be32[2] << 32};

  return trap_siphash_words(key, words, 3, client.be32[3], 4);
}

/* A MAC on the wire is LE64. */
TRAP_INLINE void trap_put_mac(__u8 out[8], __u64 mac) {
  __builtin_memcpy(out, &mac, 8);
}

TRAP_INLINE __u64 trap_get_mac(const __u8 in[8]) {
  __u64 mac;

  __builtin_memcpy(&mac, in, 8);
  return mac;
}

/* A complete ticket for a grant, good for lifetime_s from now. */
TRAP_INLINE struct trap_ticket trap_ticket_make(const struct trap_key* key, __u64 epoch,
                                                __u32 unix_s, __u32 lifetime_s, __u8 tag,
                                                const struct trap_grant* grant) {
  struct trap_ticket ticket = {};

  ticket.epoch = (__u8)epoch;
  ticket.tag = tag;
  ticket.expiry = TRAP_BE16(trap_ticket_time(unix_s + lifetime_s));
  trap_put_mac(ticket.mac, trap_ticket_mac(key, &ticket, grant));
  return ticket;
}

/* docs/protocol.md 8: is there time left, within the longest lifetime, by clocks that may differ by
 * skew_s either way? */
TRAP_INLINE int trap_ticket_is_live(const struct trap_ticket* ticket, __u32 unix_s, __u32 skew_s) {
  __s16 left = (__s16)(TRAP_FROM_BE16(ticket->expiry) - trap_ticket_time(unix_s));

  return left > -(int)(skew_s >> TRAP_TICKET_TIME_SHIFT) &&
         left <= (int)((TRAP_LIFETIME_MAX_S + skew_s + 3) >> TRAP_TICKET_TIME_SHIFT);
}

/* docs/protocol.md 9: issued not after now, lifetime in bounds, and not over, by clocks that may
 * differ by skew_s either way. */
TRAP_INLINE int trap_announce_is_live(__u32 issued_s, __u32 lifetime_s, __u32 unix_s,
                                      __u32 skew_s) {
  return issued_s <= unix_s + skew_s && lifetime_s <= TRAP_LIFETIME_MAX_S && lifetime_s &&
         issued_s + lifetime_s + skew_s > unix_s;
}
