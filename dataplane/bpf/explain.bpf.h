/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program can be loaded a second time, beside the one that is attached and upon the same maps, to
 * explain packets: it judges as that one does, writes to no map, and returns its verdict
 * (docs/adr/0017-explaining.md). Where `explaining` is 0 the verifier removes what only explaining
 * needs. Every write to a map goes through here, or asks `explaining` itself. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/explained.h"
#include "dataplane/token_bucket.h"

const volatile __u8 explaining = 0;

/* What the stack answered when it was asked about this packet: the program that explains runs for
 * one packet at a time. */
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

static __always_inline enum trap_socket note_socket(enum trap_socket socket) {
  if (explaining)
    socket_found = 1 + socket;
  return socket;
}

/* What the program returns when it explains. */
static __always_inline int explain(__u32 slot, enum trap_verdict verdict) {
  __u32 socket = socket_found;

  socket_found = 0;
  return (int)trap_explained(slot, verdict, socket);
}
