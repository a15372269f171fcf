/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What comes in: packets of redirected connections are translated back; answers of TRAP servers to remembered SYNs are taken up before the
 * application's socket sees them (docs/protocol.md 11). */
#ifndef TRAP_CLIENT_BPF_INGRESS_H
#define TRAP_CLIENT_BPF_INGRESS_H

#include "client/bpf/egress.h"
#include "client/bpf/respond.h"
#include "client/bpf/trust.h"

static __always_inline void set_state(struct trap_pending* syn, __u8 state) {
  if (!explaining)
    syn->state = state;
}

static __always_inline __be32 next_seq(__be32 seq) {
  return TRAP_BE32(TRAP_FROM_BE32(seq) + 1);
}

/* Answers a SYN-ACK [OFFER] in the application's stead; padded so that the RST that follows is no longer than this. */
static __always_inline enum trap_verdict reply_with_accept(struct __sk_buff* skb, struct encounter* e, const struct trap_pending* syn,
                                                           const struct trap_option* offer) {
  struct outgoing* out = begin_outgoing(&e->packet, syn);

  if (!out)
    return TRAP_DROP_INTERNAL;
  out->tcp.header.seq = next_seq(syn->isn);
  out->tcp.header.ack = next_seq(e->packet.seq);
  out->tcp.header.flags = TRAP_TCP_ACK;
  out->option_bytes = e->packet.family == TRAP_IPV4 ? 24 : 36;
  if (offer->experimental) {
    out->option_bytes += 4;
    trap_put_header((__u8*)out->tcp.options, TRAP_ACCEPT, sizeof(struct trap_hello_body), 1);
  } else {
    trap_put_header((__u8*)out->tcp.options, TRAP_ACCEPT, sizeof(struct trap_hello_body), 0);
  }
  return send_outgoing(skb, e, out, TRAP_REPLY_ACCEPT);
}

/* The application's SYN once more, to the backend, its ticket before its own options if there is room. */
static __always_inline enum trap_verdict reissue_syn(struct __sk_buff* skb, struct encounter* e, const struct trap_pending* syn,
                                                     const struct trap_redirect* redirect) {
  struct outgoing* out = begin_outgoing(&e->packet, syn);
  __u32 block_bytes = ticket_block_bytes(redirect->flags);
  union ticket_block block;

  if (!out)
    return TRAP_DROP_INTERNAL;
  out->destination = redirect->backend;
  out->tcp.header.destination_port = redirect->port;
  out->tcp.header.seq = syn->isn;
  out->tcp.header.flags = syn->flags;
  out->option_bytes = syn->option_bytes;
  if (syn->option_bytes + block_bytes > TRAP_TCP_OPTIONS_MAX) {
    __builtin_memcpy(out->tcp.options, syn->options, TRAP_TCP_OPTIONS_MAX);
    return send_outgoing(skb, e, out, TRAP_REPLY_REISSUED_SYN);
  }
  make_ticket_block(&block, redirect);
  out->option_bytes += block_bytes;
  if (block_bytes == TRAP_TICKET_BLOCK_BYTES) {
    __builtin_memcpy(out->tcp.options, &block, TRAP_TICKET_BLOCK_BYTES);
    __builtin_memcpy(out->tcp.options + 4, syn->options, TRAP_TCP_OPTIONS_MAX - TRAP_TICKET_BLOCK_BYTES);
  } else {
    __builtin_memcpy(out->tcp.options, &block, TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL);
    __builtin_memcpy(out->tcp.options + 5, syn->options, TRAP_TCP_OPTIONS_MAX - TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL);
  }
  return send_outgoing(skb, e, out, TRAP_REPLY_REISSUED_SYN);
}

/* The REDIRECT in the option area as an entry of the redirect table. 0 on success. */
static __always_inline int read_redirect(const struct trap_packet* packet, const struct trap_option_area* area,
                                         const struct trap_option* option, struct trap_redirect* redirect) {
  struct trap_redirect_body body;
  const __u8* at = trap_option_body(area, option, sizeof(body) + (packet->family == TRAP_IPV4 ? 4 : 16));
  __u32 lifetime_s;
  __be32 ipv4;

  if (!at)
    return -1;
  __builtin_memcpy(&body, at, sizeof(body));
  if (packet->family == TRAP_IPV4) {
    __builtin_memcpy(&ipv4, at + sizeof(body), 4);
    redirect->backend = trap_address_v4(ipv4);
  } else {
    __builtin_memcpy(&redirect->backend, at + sizeof(body), 16);
  }
  lifetime_s = TRAP_FROM_BE16(body.lifetime_s);
  if (lifetime_s > TRAP_LIFETIME_MAX_S)
    lifetime_s = TRAP_LIFETIME_MAX_S;
  redirect->used_ns = 0;
  redirect->learnt_ns = coarse_ns();
  redirect->until_ns = redirect->learnt_ns + lifetime_s * 1000000000ULL;
  redirect->port = body.port;
  redirect->ticket = body.ticket;
  redirect->flags = option->experimental ? TRAP_REDIRECT_EXPERIMENTAL : 0;
  return 0;
}

/* A well-formed REDIRECT for a connect of ours. */
static __always_inline enum trap_verdict follow_redirect(struct __sk_buff* skb, struct encounter* e, const struct trap_tuple* tuple,
                                                         struct trap_pending* syn, struct trap_redirect* redirect) {
  struct trap_redirect_key key = {.local = tuple->local, .service = tuple->remote, .port = tuple->remote_port};
  struct trap_outward outward = {.backend = redirect->backend, .port = redirect->port, .syns = 1, .isn = syn->isn};
  __u8 state = syn->state;

  if (!target_is_allowed(&e->packet, redirect))
    return TRAP_PASS_REDIRECT_REFUSED;
  if (state == TRAP_SYN_ACK_PASSED)
    redirect->flags |= TRAP_REDIRECT_FROM_RESET;
  set_state(syn, TRAP_REDIRECTED);
  if (store(&redirects, &key, redirect, BPF_ANY))
    return TRAP_DROP_INTERNAL;
  if (state == TRAP_SYN_ACK_PASSED)
    return TRAP_PASS_REDIRECT_LEARNT;
  if (syn->is_renewal)
    return TRAP_REDIRECT_RENEWED;
  outward.via_neighbour = needs_neighbour(skb, e, &tuple->local, &outward.backend, TRAP_SOURCE);
  if (store_flow(tuple, &outward))
    return TRAP_DROP_INTERNAL;
  return reissue_syn(skb, e, syn, redirect);
}

static __always_inline enum trap_verdict judge_rst(struct __sk_buff* skb, struct encounter* e, const struct trap_tuple* tuple,
                                                   struct trap_pending* syn, const struct trap_option_area* area,
                                                   const struct trap_option* option) {
  struct scratchpad* pad = take_scratchpad();

  if (option->type != TRAP_REDIRECT || !pad)
    return TRAP_PASS_OTHER;
  if (e->packet.seq != next_seq(syn->iss) || e->packet.ack != next_seq(syn->isn) || !(e->packet.flags & TRAP_TCP_ACK))
    return TRAP_PASS_REDIRECT_UNEXPECTED;
  if (syn->state == TRAP_REDIRECTED)
    return TRAP_DROP_LATE_ANSWER;
  if (syn->state == TRAP_SYN_SENT)
    return TRAP_PASS_REDIRECT_UNEXPECTED;
  if (read_redirect(&e->packet, area, option, &pad->redirect))
    return TRAP_PASS_BAD_OPTION;
  return follow_redirect(skb, e, tuple, syn, &pad->redirect);
}

static __always_inline enum trap_verdict judge_syn_ack(struct __sk_buff* skb, struct encounter* e, struct trap_pending* syn,
                                                       const struct trap_option* option) {
  if (e->packet.ack != next_seq(syn->isn))
    return TRAP_PASS_OTHER;
  if (syn->state == TRAP_REDIRECTED) /* the service answers now; this one would mislead the socket */
    return TRAP_DROP_LATE_ANSWER;
  if (!explaining)
    syn->iss = e->packet.seq;
  if (option->type == TRAP_OFFER && source_may_redirect(&e->packet)) {
    set_state(syn, TRAP_ACCEPT_SENT);
    return reply_with_accept(skb, e, syn, option);
  }
  set_state(syn, TRAP_SYN_ACK_PASSED);
  if (option->type == TRAP_OFFER)
    return TRAP_PASS_OFFER_REFUSED;
  return option->defect == TRAP_PASS_OTHER ? TRAP_PASS_SYN_ACK_NOTED : TRAP_PASS_BAD_OPTION;
}

/* An answer to a SYN that we remember, or to none. */
static __always_inline enum trap_verdict judge_answer(struct __sk_buff* skb, struct encounter* e, const struct trap_tuple* tuple,
                                                      enum trap_segment kind) {
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;
  struct trap_pending* syn = bpf_map_lookup_elem(&pending, tuple);
  struct trap_option_area area;
  struct trap_option option;

  if (!syn)
    return TRAP_PASS_OTHER;
  option = trap_find_option(&area, trap_l4(&e->packet, data), end, e->packet.header_bytes, e->packet.family);
  if (kind == TRAP_SEGMENT_SYN_ACK)
    return judge_syn_ack(skb, e, syn, &option);
  if (option.defect != TRAP_PASS_OTHER)
    return TRAP_PASS_BAD_OPTION;
  return judge_rst(skb, e, tuple, syn, &area, &option);
}

static __always_inline enum trap_verdict judge_incoming(struct __sk_buff* skb, struct encounter* e) {
  const struct trap_inward* inward;
  enum trap_segment kind;
  struct trap_tuple tuple;

  pull_headers(skb);
  if (read_packet(skb, e) != TRAP_LAYER_TCP)
    return TRAP_PASS_OTHER;
  tuple = incoming_tuple(e);
  inward = bpf_map_lookup_elem(&to_public, &tuple);
  if (inward)
    return replace_end(skb, &e->packet, TRAP_SOURCE, &inward->service, inward->port) ? TRAP_DROP_INTERNAL : TRAP_PASS_FROM_SERVICE;
  kind = trap_segment_kind(e->packet.flags);
  if (kind != TRAP_SEGMENT_SYN_ACK && kind != TRAP_SEGMENT_RST)
    return TRAP_PASS_OTHER;
  return judge_answer(skb, e, &tuple, kind);
}

#endif
