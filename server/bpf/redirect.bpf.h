/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The answer to a client that has proved its address: a RST that names its backend and carries its
 * ticket (docs/protocol.md 7 and 8). */
#pragma once

#include "dataplane/bpf/explain.bpf.h"
#include "protocol/ticket.h"
#include "server/bpf/packet_context.bpf.h"
#include "server/bpf/reply.bpf.h"

/* The backend of a verified client, by the table that user space computed (docs/protocol.md 7). */
static __always_inline const struct trap_backend* select_backend(struct packet_context* context) {
  __u32 pool = context->pool;
  const struct trap_selection* selection = bpf_map_lookup_elem(&selections, &pool);
  union trap_address client;
  __u32 index;
  __u64 hash;

  if (!selection || selection->backend_count == 0)
    return NULL;
  client = context->packet.source;
  if (context->packet.family == TRAP_IPV4) {
    hash = trap_siphash_words(&context->settings->selector_key, NULL, 0, client.be32[3], 4);
  } else {
    client = trap_address_mask(client, TRAP_IPV6, TRAP_SCOPE_V6);
    hash = trap_siphash_words(&context->settings->selector_key, client.raw64, 2, 0, 0);
  }
  index = selection->backends[hash & (TRAP_SELECTION_SLOTS - 1)];
  context->backend = index;
  return bpf_map_lookup_elem(&backends, &index);
}

/* Waking user space costs more than the rest of a redirect. So a program wakes it a few times in a
 * tick of the clock: few redirects are announced at once, and under many user space looks again by
 * itself (Announcer::consume). */
#define TRAP_WAKES_PER_TICK 8

static volatile __u64 waking_tick;
static volatile __u32 wakes_in_tick;

static __always_inline __u64 wake_sparingly(void) {
  __u64 tick = tick_jiffies;

  if (waking_tick != tick) { /* CPUs may race for it: a wake more or less */
    waking_tick = tick;
    wakes_in_tick = 0;
  }
  if (wakes_in_tick >= TRAP_WAKES_PER_TICK)
    return BPF_RB_NO_WAKEUP;
  wakes_in_tick++;
  return BPF_RB_FORCE_WAKEUP;
}

/* Tells user space, which announces the client to the guard. A full ring loses announcements, never
 * redirects: the ticket admits too. */
static __always_inline void record_redirect(const struct packet_context* context) {
  struct trap_redirected record = {
      .client = context->packet.source, .service_slot = context->slot, .backend = context->backend};

  if (explaining)
    return;
  bpf_ringbuf_output(&redirected, &record, sizeof(record), wake_sparingly());
}

/* Composes the RST, or returns the reason why there is none. */
static __always_inline TRAP_MUST_USE enum trap_verdict
compose_redirect(struct packet_context* context, struct reply* reply) {
  const struct trap_backend* backend = select_backend(context);
  const struct trap_server_guard* guard;
  struct trap_key key;
  struct trap_ticket ticket;
  struct trap_grant grant;
  __u64 epoch = trap_epoch(context->now.unix_ns);
  __u32 guard_index;

  if (!backend)
    return TRAP_DROP_NO_BACKEND;
  guard_index = backend->guard;
  guard = bpf_map_lookup_elem(&guards, &guard_index);
  if (!guard || !trap_keyring_find(&guard->ticket_keys, epoch, &key))
    return TRAP_DROP_NO_KEY;
  grant.client = context->packet.source;
  grant.port = backend->port;
  grant.family = context->packet.family;
  grant.scope = context->packet.family == TRAP_IPV4 ? backend->scope_v4 : backend->scope_v6;
  ticket = trap_ticket_make(&key, epoch, context->now.unix_s, TRAP_FROM_BE16(backend->lifetime_s),
                            backend->tag, &grant);
  reply->seq = context->packet.ack;
  reply->ack =
      TRAP_BE32(TRAP_FROM_BE32(context->packet.seq) + trap_payload_bytes(&context->packet));
  reply->flags = TRAP_TCP_RST | TRAP_TCP_ACK;
  put_redirect(reply, backend, &ticket, context->packet.family);
  return TRAP_REPLY_REDIRECT;
}
