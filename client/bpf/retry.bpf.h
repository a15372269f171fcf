/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A redirect has led a connect into a dead end: the application's SYN goes to the TRAP server
 * again, and the socket notices nothing. */
#pragma once

#include "client/bpf/fallback.bpf.h"
#include "client/bpf/lane.bpf.h"
#include "client/bpf/respond.bpf.h"

static __always_inline void set_state(struct trap_pending* syn, __u8 state) {
  if (!explaining)
    syn->state = state;
}

/* Turns the packet on its walk into the remembered SYN, to the address that the application
 * dialled. */
static __always_inline TRAP_MUST_USE enum trap_verdict
send_syn_again(struct __sk_buff* skb, struct packet_context* context,
               const struct trap_tuple* tuple, struct trap_pending* syn) {
  struct outgoing* out = begin_outgoing(tuple, context->packet.family, syn);

  if (!out)
    return TRAP_DROP_INTERNAL;
  set_state(syn, TRAP_SYN_SENT);
  put_syn(out, syn);
  out->option_bytes = syn->option_bytes;
  __builtin_memcpy(out->tcp.options, syn->options, TRAP_TCP_OPTIONS_MAX);
  return send_outgoing(skb, context, out, TRAP_REPLY_SYN_AGAIN);
}

/* No redirect came, or it leads nowhere, and the TRAP server serves: the application gets its next
 * SYN-ACK. */
static __always_inline TRAP_MUST_USE enum trap_verdict
ask_to_be_served(struct __sk_buff* skb, struct packet_context* context,
                 const struct trap_tuple* tuple, const struct trap_redirect_key* key,
                 struct trap_pending* syn) {
  note_fallback(key, TRAP_FALLBACK_SERVED);
  return send_syn_again(skb, context, tuple, syn);
}

/* Every place on the wire to the service is a living connection's, or this host's routing leads
 * elsewhere. A TRAP server that serves is to serve this connect; one that resets has reset it. */
static __always_inline TRAP_MUST_USE enum trap_verdict
do_without_lane(struct __sk_buff* skb, struct packet_context* context,
                const struct trap_tuple* tuple, struct trap_pending* syn) {
  if (syn->connect & TRAP_CONNECT_RESETS)
    return TRAP_PASS_REDIRECT_REFUSED;
  if (!explaining)
    syn->connect |= TRAP_CONNECT_HAS_NO_WAY;
  return send_syn_again(skb, context, tuple, syn);
}

/* The SYN of the connect memory->tuple does not get to the service: asks the TRAP server again. If
 * the service is to blame, it is noted as unreachable, and the TRAP server may name another; else
 * this connect alone is to be served. Once for each connect; after that the walk goes on. */
static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_walk
ask_again(struct __sk_buff* skb, struct packet_context* context, struct trap_pending* syn,
          int is_to_blame, enum trap_verdict* verdict) {
  struct scratch* memory = find_scratch();
  const struct trap_outward* outward;
  const struct trap_tuple* tuple;

  if (!memory || syn->connect & TRAP_CONNECT_ASKED_AGAIN)
    return TRAP_WALK_GOES_ON;
  tuple = &memory->tuple;
  outward = bpf_map_lookup_elem(&to_backend, tuple);
  if (!outward)
    return TRAP_WALK_GOES_ON;
  if (is_to_blame) {
    memory->key = redirect_key(tuple);
    note_backend(&memory->key, &outward->backend, outward->port, TRAP_FALLBACK_UNREACHABLE);
    forget(&redirects, &memory->key);
  }
  forget_flow(tuple, outward);
  if (!explaining)
    syn->connect |= TRAP_CONNECT_ASKED_AGAIN | (is_to_blame ? 0 : TRAP_CONNECT_HAS_NO_WAY);
  *verdict = send_syn_again(skb, context, tuple, syn);
  return TRAP_WALK_ENDS;
}
