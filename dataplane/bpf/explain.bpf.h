/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A second copy of a program, loaded upon the maps of the attached one, explains packets: it judges
 * alike, writes to no map, and returns its verdict (docs/adr/0017-explaining.md). Where
 * `explaining` is 0 the verifier removes the code that only explaining needs. Every write to a map
 * goes through this header, or asks `explaining` itself. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/explained.h"
#include "dataplane/token_bucket.h"

const volatile __u8 explaining = 0;

/* The stack's last answer about this packet. The explaining program runs for one packet at a time.
 */
static volatile __u32 socket_found;

/* bpf_map_update_elem; 0 when explaining. */
static __always_inline long store(void* map, const void* key, const void* value, __u64 flags) {
  return explaining ? 0 : bpf_map_update_elem(map, key, value, flags);
}

static __always_inline void forget(void* map, const void* key) {
  if (!explaining)
    bpf_map_delete_elem(map, key);
}

/* trap_bucket_take; when explaining, only whether it would. */
static __always_inline int take_tokens(struct trap_bucket* bucket, const struct trap_rate* rate,
                                       __u64 now_ns, __u32 tokens) {
  return explaining ? trap_bucket_has(bucket, rate, now_ns, tokens)
                    : trap_bucket_take(bucket, rate, now_ns, tokens);
}

static __always_inline TRAP_MUST_USE enum trap_socket note_socket(enum trap_socket socket) {
  if (explaining)
    socket_found = 1 + socket;
  return socket;
}

/* The return value of an explaining program. */
static __always_inline int explain(__u32 slot, enum trap_verdict verdict) {
  __u32 socket = socket_found;

  socket_found = 0;
  return (int)trap_explained(slot, verdict, socket);
}
