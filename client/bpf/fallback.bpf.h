/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Failures on the way to a service are remembered for a while, so that later connections do not
 * wait for them again (docs/adr/0021-fallbacks.md). */
#pragma once

#include "client/bpf/packet_context.bpf.h"

static __always_inline struct trap_redirect_key redirect_key(const struct trap_tuple* tuple) {
  struct trap_redirect_key key = {
      .local = tuple->local, .service = tuple->remote, .port = tuple->remote_port};
  return key;
}

/* The unexpired entry of the service; NULL if there is none. */
static __always_inline const struct trap_fallback*
find_fallback(const struct trap_redirect_key* key) {
  const struct trap_fallback* known = bpf_map_lookup_elem(&fallbacks, key);

  return known && known->until_ns > coarse_ns() ? known : NULL;
}

static __always_inline int has_fallback(const struct trap_redirect_key* key, __u8 flag) {
  const struct trap_fallback* known = find_fallback(key);

  return known && known->flags & flag;
}

static __always_inline void store_fallback(const struct trap_redirect_key* key,
                                           struct trap_fallback* fallback) {
  fallback->until_ns = coarse_ns() + TRAP_FALLBACK_LIFETIME_S * 1000000000ULL;
  store(&fallbacks, key, fallback, BPF_ANY);
}

static __always_inline void note_fallback(const struct trap_redirect_key* key, __u8 flag) {
  const struct trap_fallback* known = find_fallback(key);
  struct trap_fallback fallback = {};

  if (known)
    fallback = *known;
  fallback.flags |= flag;
  store_fallback(key, &fallback);
}

static __always_inline void note_unreachable(const struct trap_redirect_key* key,
                                             const union trap_address* backend, __be16 port) {
  const struct trap_fallback* known = find_fallback(key);
  struct trap_fallback fallback = {
      .backend = *backend, .port = port, .flags = TRAP_FALLBACK_UNREACHABLE};

  if (known)
    fallback.flags |= known->flags;
  store_fallback(key, &fallback);
}

static __always_inline int is_unreachable(const struct trap_redirect_key* key,
                                          const union trap_address* backend, __be16 port) {
  const struct trap_fallback* known = find_fallback(key);

  return known && known->flags & TRAP_FALLBACK_UNREACHABLE && known->port == port &&
         trap_address_equal(&known->backend, backend);
}

/* The service has answered a SYN of this connection: notes whether it takes tickets. */
static __always_inline void note_what_worked(const struct trap_tuple* tuple) {
  const struct trap_outward* outward = bpf_map_lookup_elem(&to_backend, tuple);
  struct trap_redirect_key key = redirect_key(tuple);

  if (!outward)
    return;
  if (!(outward->flags & TRAP_FLOW_UNTICKETED))
    forget(&fallbacks, &key);
  else if (outward->syns > TRAP_SYNS_TICKETED)
    note_fallback(&key, TRAP_FALLBACK_UNTICKETED);
}
