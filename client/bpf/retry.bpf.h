/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* When a connect cannot go on where it was led: the application's SYN goes to the TRAP server
 * again, and the socket notices nothing. */
#pragma once

#include "client/bpf/fallback.bpf.h"
#include "client/bpf/flow.bpf.h"
#include "client/bpf/respond.bpf.h"

static __always_inline void set_state(struct trap_pending* syn, __u8 state) {
  if (!explaining)
    syn->state = state;
}

/* Makes the packet at hand, whatever it is, the remembered SYN to whom the application dialled. */
static __always_inline enum trap_verdict send_syn_again(struct __sk_buff* skb,
                                                        struct packet_context* e,
                                                        const struct trap_tuple* tuple,
                                                        struct trap_pending* syn) {
  struct outgoing* out = begin_outgoing(tuple, e->packet.family, syn);

  if (!out)
    return TRAP_DROP_INTERNAL;
  set_state(syn, TRAP_SYN_SENT);
  out->tcp.header.seq = syn->isn;
  out->tcp.header.flags = syn->flags;
  out->option_bytes = syn->option_bytes;
  __builtin_memcpy(out->tcp.options, syn->options, TRAP_TCP_OPTIONS_MAX);
  return send_outgoing(skb, e, out, TRAP_REPLY_SYN_AGAIN);
}

/* A redirect did not come, or leads nowhere, and the TRAP server serves: its next SYN-ACK is the
 * application's. */
static __always_inline enum trap_verdict
ask_to_be_served(struct __sk_buff* skb, struct packet_context* e, const struct trap_tuple* tuple,
                 const struct trap_redirect_key* key, struct trap_pending* syn) {
  note_fallback(key, TRAP_FALLBACK_SERVED);
  return send_syn_again(skb, e, tuple, syn);
}

/* The service that this connect was led to is dead: the TRAP server may know of another. Once for
 * each connect; then `otherwise`. */
static TRAP_SUBPROGRAM enum trap_verdict ask_again(struct __sk_buff* skb, struct packet_context* e,
                                                   const struct trap_tuple* tuple,
                                                   struct trap_pending* syn,
                                                   enum trap_verdict otherwise) {
  const struct trap_outward* outward = bpf_map_lookup_elem(&to_backend, tuple);
  struct trap_redirect_key key = redirect_key(tuple);

  if (!outward || syn->connect & TRAP_CONNECT_ASKED_AGAIN)
    return otherwise;
  note_unreachable(&key, &outward->backend, outward->port);
  forget(&redirects, &key);
  forget_flow(tuple, outward);
  if (!explaining)
    syn->connect |= TRAP_CONNECT_ASKED_AGAIN;
  return send_syn_again(skb, e, tuple, syn);
}
