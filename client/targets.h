/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses as a policy of trap-client judges them (docs/protocol.md 11). An IPv6 address that a
 * translator turns into an IPv4 one is judged as that one. Programs and daemon share this. */
#pragma once

#include "client/maps.h"

/* The IPv4 address that packets to this IPv6 address end up at. 1 if there is one. */
TRAP_INLINE int trap_leads_to_v4(const struct trap_client_settings* settings,
                                 const union trap_address* a, __be32* address) {
  return trap_address_embeds_v4(a, address) ||
         (settings->flags & TRAP_CLIENT_NAT64_KNOWN && settings->nat64_bits &&
          trap_nat64_embeds_v4(a, &settings->nat64, settings->nat64_bits, address));
}

/* The IPv6 address of an IPv4 host behind a translator, whose prefix has nothing set behind its
 * `bits` (RFC 6052 2.2). */
TRAP_INLINE union trap_address trap_nat64_embed(const union trap_address* prefix, __u32 bits,
                                                __be32 ipv4) {
  union trap_address a = *prefix;
  __u64 v4 = TRAP_FROM_BE32(ipv4);

  if (bits > 64) {
    a.be32[3] = ipv4;
    return a;
  }
  a.raw64[0] |= __builtin_bswap64(v4 >> (bits - 32));
  a.raw64[1] = __builtin_bswap64((v4 << (64 - bits) & 0xffffffff) << 24);
  return a;
}

/* The prefix of the translator by which packets to this IPv6 address go to an IPv4 host: its bits,
 * 0 if none is known. */
TRAP_INLINE __u32 trap_translator_of(const struct trap_client_settings* settings,
                                     const union trap_address* a, union trap_address* prefix) {
  __be32 ipv4;

  *prefix = *a;
  prefix->be32[3] = 0;
  if (a->be32[0] == TRAP_BE32(0x0064ff9b) && !a->be32[1] && !a->be32[2])
    return 96;
  if (!(settings->flags & TRAP_CLIENT_NAT64_KNOWN) || !settings->nat64_bits ||
      !trap_nat64_embeds_v4(a, &settings->nat64, settings->nat64_bits, &ipv4))
    return 0;
  *prefix = settings->nat64;
  return settings->nat64_bits;
}

/* Is this an address that means another host on each link? What is known of it is known of one of
 * them. */
TRAP_INLINE int trap_is_link_local(const union trap_address* a, __u32 family) {
  return family == TRAP_IPV4 ? TRAP_FROM_BE32(a->be32[3]) >> 16 == 0xa9fe
                             : TRAP_FROM_BE32(a->be32[0]) >> 22 == 0xfe80 >> 6;
}

/* May no redirect lead there, whatever the configuration says? */
TRAP_INLINE int trap_target_is_forbidden(const struct trap_client_settings* settings,
                                         const union trap_address* target, __u32 family) {
  __be32 ipv4;

  return trap_address_is_forbidden(target, family) ||
         (family == TRAP_IPV6 && trap_leads_to_v4(settings, target, &ipv4) &&
          trap_v4_is_forbidden(ipv4));
}

/* Is this an address that only a private service, or the administrator, may redirect to? */
TRAP_INLINE int trap_target_is_private(const struct trap_client_settings* settings,
                                       const union trap_address* target, __u32 family) {
  __be32 ipv4;

  return trap_address_is_private(target, family) ||
         (family == TRAP_IPV6 && trap_leads_to_v4(settings, target, &ipv4) &&
          trap_v4_is_private(ipv4));
}

TRAP_INLINE int trap_v4_is_next_door(__be32 a, __be32 b) {
  return !((a ^ b) & TRAP_BE32(0xffffff00));
}

/* Are both addresses of one /24, or of one /48? One /48 can have all IPv4 addresses behind a
 * translator: until it is known whether this host has one, no IPv6 address is next door. */
TRAP_INLINE int trap_target_is_next_door(const struct trap_client_settings* settings,
                                         const union trap_address* target,
                                         const union trap_address* service, __u32 family) {
  __be32 of_target = 0, of_service = 0;
  int target_leads, service_leads;

  if (family == TRAP_IPV4)
    return trap_v4_is_next_door(target->be32[3], service->be32[3]);
  if (!(settings->flags & TRAP_CLIENT_NAT64_KNOWN))
    return 0;
  target_leads = trap_leads_to_v4(settings, target, &of_target);
  service_leads = trap_leads_to_v4(settings, service, &of_service);
  if (target_leads || service_leads)
    return target_leads && service_leads && trap_v4_is_next_door(of_target, of_service);
  return !((target->raw64[0] ^ service->raw64[0]) & trap_mask_half(48));
}
