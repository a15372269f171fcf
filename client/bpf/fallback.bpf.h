/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Failures on the way to a service are remembered for a while, so that later connections do not
 * wait for them again (docs/adr/0021-fallbacks.md). */
#pragma once

#include "client/bpf/scratch.bpf.h"

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
  struct scratch* memory = find_scratch();

  if (!memory)
    return;
  if (known)
    memory->fallback = *known;
  else
    __builtin_memset(&memory->fallback, 0, sizeof(memory->fallback));
  memory->fallback.flags |= flag;
  store_fallback(key, &memory->fallback);
}

/* An ACCEPT brought no redirect from a TRAP server that resets. A network may lose half of them, so
 * eight are to be in vain; and of many connects at once the answers may be on a long way. */
static __always_inline void note_in_vain(const struct trap_redirect_key* key) {
  const struct trap_fallback* known = find_fallback(key);
  struct scratch* memory = find_scratch();
  struct trap_fallback* fallback;

  if (!memory)
    return;
  fallback = &memory->fallback;
  if (known)
    *fallback = *known;
  else
    __builtin_memset(fallback, 0, sizeof(*fallback));
  if (!fallback->vain)
    fallback->vain_since_ns = coarse_ns();
  if (fallback->vain < 255)
    fallback->vain++;
  if (fallback->vain >= TRAP_RESETS_IN_VAIN &&
      coarse_ns() - fallback->vain_since_ns >= TRAP_VAIN_NS)
    fallback->flags |= TRAP_FALLBACK_RESET;
  store_fallback(key, fallback);
}

/* An ACCEPT brought a redirect. */
static __always_inline void note_heard(const struct trap_redirect_key* key) {
  struct trap_fallback* known = bpf_map_lookup_elem(&fallbacks, key);

  if (!known || explaining)
    return;
  known->vain = 0;
  known->flags &= (__u8)~TRAP_FALLBACK_RESET;
}

static __always_inline int is_of_backend(const struct trap_fallback* fallback,
                                         const union trap_address* backend, __be16 port) {
  return fallback->port == port && trap_address_equal(&fallback->backend, backend);
}

/* Notes flags of which some are about a backend: the last such one is remembered. */
static __always_inline void note_backend(const struct trap_redirect_key* key,
                                         const union trap_address* backend, __be16 port,
                                         __u8 flags) {
  const struct trap_fallback* known = find_fallback(key);
  struct scratch* memory = find_scratch();
  struct trap_fallback* fallback;

  if (!memory)
    return;
  fallback = &memory->fallback;
  __builtin_memset(fallback, 0, sizeof(*fallback));
  fallback->backend = *backend;
  fallback->port = port;
  fallback->flags = flags;
  if (known)
    fallback->flags |= is_of_backend(known, backend, port)
                           ? known->flags
                           : known->flags & ~TRAP_FALLBACK_OF_BACKEND;
  store_fallback(key, fallback);
}

/* Was this found of the backend lately? */
static __always_inline int is_noted_of(const struct trap_redirect_key* key,
                                       const union trap_address* backend, __be16 port, __u8 flag) {
  const struct trap_fallback* known = find_fallback(key);

  return known && known->flags & flag && is_of_backend(known, backend, port);
}

/* A SYN goes to the backend. */
static __always_inline void note_question(struct trap_redirect* redirect) {
  if (explaining)
    return;
  if (!redirect->unanswered)
    redirect->unanswered_ns = coarse_ns();
  if (redirect->unanswered < 255)
    redirect->unanswered++;
}

/* Was the backend silent for as long as a patient application would wait? Impatient ones never send
 * the SYN that would go to the TRAP server. */
static __always_inline int is_silent(const struct trap_redirect* redirect) {
  return redirect->unanswered >= TRAP_SYNS_IN_VAIN &&
         redirect->unanswered_ns + TRAP_SILENCE_NS <= coarse_ns();
}

/* The backend has answered. */
static __always_inline void note_answer(const struct trap_redirect_key* key) {
  struct trap_redirect* redirect = bpf_map_lookup_elem(&redirects, key);

  if (redirect && !explaining)
    redirect->unanswered = 0;
}

/* The service has answered a SYN of memory->tuple: notes that, and whether it takes tickets. */
static __always_inline void note_what_worked(struct scratch* memory) {
  struct trap_outward* outward = bpf_map_lookup_elem(&to_backend, &memory->tuple);

  if (!outward)
    return;
  if (!explaining)
    outward->flags |= TRAP_FLOW_ANSWERED;
  memory->key = redirect_key(&memory->tuple);
  note_answer(&memory->key);
  if (!(outward->flags & TRAP_FLOW_UNTICKETED))
    forget(&fallbacks, &memory->key);
  else if (outward->syns > TRAP_SYNS_TICKETED)
    note_fallback(&memory->key, TRAP_FALLBACK_UNTICKETED);
}
