/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What comes in: packets of redirected connections are translated back; answers of TRAP servers to
 * remembered SYNs are taken up before the application's socket sees them (docs/protocol.md 11). */
#pragma once

#include "client/bpf/egress.bpf.h"
#include "client/bpf/retry.bpf.h"
#include "client/bpf/trust.bpf.h"

/* The REDIRECT in the option area as an entry of the redirect table. 0 on success. */
static __always_inline int read_redirect(const struct trap_packet* packet,
                                         const struct trap_option_area* area,
                                         const struct trap_option* option,
                                         struct trap_redirect* redirect) {
  struct trap_redirect_body body;
  const __u8* at =
      trap_option_body(area, option, sizeof(body) + (packet->family == TRAP_IPV4 ? 4 : 16));
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
  redirect->learnt_ns = coarse_ns();
  redirect->until_ns = redirect->learnt_ns + lifetime_s * 1000000000ULL;
  redirect->port = body.port;
  redirect->ticket = body.ticket;
  redirect->flags = option->experimental ? TRAP_REDIRECT_EXPERIMENTAL : 0;
  return 0;
}

/* Is there a backend that the TRAP server can name no better than by the one that does not answer,
 * and can it do without? */
static __always_inline int leads_nowhere(const struct trap_redirect_key* key,
                                         const struct trap_pending* syn,
                                         const struct trap_redirect* redirect) {
  return !(syn->connect & TRAP_CONNECT_RESETS) &&
         is_unreachable(key, &redirect->backend, redirect->port);
}

/* A well-formed REDIRECT for a connect of ours. */
static __always_inline enum trap_verdict
follow_redirect(struct __sk_buff* skb, struct packet_context* e, const struct trap_tuple* tuple,
                const struct trap_redirect_key* key, struct trap_pending* syn,
                struct trap_redirect* redirect) {
  struct trap_outward outward = {
      .backend = redirect->backend, .port = redirect->port, .syns = 1, .isn = syn->isn};
  __u8 state = syn->state;

  if (!target_is_allowed(&e->packet, redirect))
    return TRAP_PASS_REDIRECT_REFUSED;
  if (state == TRAP_ACCEPT_SENT && !syn->is_renewal && leads_nowhere(key, syn, redirect))
    return ask_to_be_served(skb, e, tuple, key, syn);
  if (state == TRAP_SYN_ACK_PASSED)
    redirect->flags |= TRAP_REDIRECT_FROM_RESET;
  set_state(syn, TRAP_REDIRECTED);
  if (store(&redirects, key, redirect, BPF_ANY))
    return TRAP_DROP_INTERNAL;
  if (state == TRAP_SYN_ACK_PASSED)
    return TRAP_PASS_REDIRECT_LEARNT;
  if (syn->is_renewal)
    return TRAP_REDIRECT_RENEWED;
  if (needs_neighbour(skb, e, &tuple->local, &outward.backend, TRAP_SOURCE))
    outward.flags = TRAP_FLOW_VIA_NEIGHBOUR;
  if (has_fallback(key, TRAP_FALLBACK_UNTICKETED) ||
      syn->option_bytes + ticket_block_bytes(redirect->flags) > TRAP_TCP_OPTIONS_MAX)
    outward.flags |= TRAP_FLOW_UNTICKETED;
  if (store_flow(tuple, &outward))
    return TRAP_DROP_INTERNAL;
  return reissue_syn(skb, e, tuple, syn, redirect, outward.flags);
}

/* A RST of the TRAP server without REDIRECT, which somebody on the way took out: redirects do not
 * get here. */
static __always_inline int was_robbed(const struct trap_pending* syn) {
  return syn->state == TRAP_ACCEPT_SENT && !syn->is_renewal &&
         !(syn->connect & TRAP_CONNECT_RESETS);
}

static TRAP_SUBPROGRAM enum trap_verdict judge_rst(struct __sk_buff* skb, struct packet_context* e,
                                                   const struct trap_tuple* tuple,
                                                   struct scratch* place,
                                                   const struct trap_option* option) {
  struct trap_pending* syn = bpf_map_lookup_elem(&pending, tuple);
  struct trap_redirect_key key = redirect_key(tuple);
  int is_exact;

  if (!syn)
    return TRAP_PASS_OTHER;
  is_exact = e->packet.seq == next_seq(syn->iss) && e->packet.ack == next_seq(syn->isn) &&
             e->packet.flags & TRAP_TCP_ACK;
  if (option->type != TRAP_REDIRECT)
    return is_exact && was_robbed(syn) ? ask_to_be_served(skb, e, tuple, &key, syn)
                                       : TRAP_PASS_OTHER;
  if (!is_exact)
    return TRAP_PASS_REDIRECT_UNEXPECTED;
  if (syn->state == TRAP_REDIRECTED || syn->state == TRAP_ANSWERED)
    return TRAP_DROP_LATE_ANSWER;
  if (syn->state != TRAP_ACCEPT_SENT && syn->state != TRAP_SYN_ACK_PASSED)
    return TRAP_PASS_REDIRECT_UNEXPECTED;
  if (read_redirect(&e->packet, &place->area, option, &place->redirect))
    return TRAP_PASS_BAD_OPTION;
  return follow_redirect(skb, e, tuple, &key, syn, &place->redirect);
}

static __always_inline void note_syn_ack(struct trap_pending* syn,
                                         const struct trap_packet* packet) {
  if (explaining)
    return;
  syn->iss = packet->seq;
  if (packet->window)
    syn->connect &= ~TRAP_CONNECT_RESETS;
  else
    syn->connect |= TRAP_CONNECT_RESETS;
}

static TRAP_SUBPROGRAM enum trap_verdict judge_syn_ack(struct __sk_buff* skb,
                                                       struct packet_context* e,
                                                       const struct trap_tuple* tuple,
                                                       const struct trap_option* option) {
  struct trap_pending* syn = bpf_map_lookup_elem(&pending, tuple);
  struct trap_redirect_key key = redirect_key(tuple);

  if (!syn || e->packet.ack != next_seq(syn->isn))
    return TRAP_PASS_OTHER;
  if (syn->state == TRAP_REDIRECTED ||
      syn->state == TRAP_ANSWERED) /* the service answers now; this one would mislead the socket */
    return TRAP_DROP_LATE_ANSWER;
  note_syn_ack(syn, &e->packet);
  if (option->type != TRAP_OFFER) {
    set_state(syn, TRAP_SYN_ACK_PASSED);
    return option->defect == TRAP_PASS_OTHER ? TRAP_PASS_SYN_ACK_NOTED : TRAP_PASS_BAD_OPTION;
  }
  if (!source_may_redirect(&e->packet)) {
    set_state(syn, TRAP_SYN_ACK_PASSED);
    return TRAP_PASS_OFFER_REFUSED;
  }
  if (e->packet.window && !syn->is_renewal && has_fallback(&key, TRAP_FALLBACK_SERVED)) {
    set_state(syn, TRAP_SYN_ACK_PASSED);
    return TRAP_PASS_OFFER_DECLINED;
  }
  set_state(syn, TRAP_ACCEPT_SENT);
  if (!explaining && syn->accepts < 255)
    syn->accepts++;
  return reply_with_accept(skb, e, tuple, syn, option);
}

/* An answer to a SYN that we remember, or to none. */
static TRAP_SUBPROGRAM enum trap_verdict judge_answer(struct __sk_buff* skb,
                                                      struct packet_context* e,
                                                      const struct trap_tuple* tuple, __u32 kind) {
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;
  struct scratch* place = find_scratch();
  struct trap_option option;

  if (!place || !bpf_map_lookup_elem(&pending, tuple))
    return TRAP_PASS_OTHER;
  option = trap_find_option(&place->area, trap_l4(&e->packet, data), end, e->packet.header_bytes,
                            e->packet.family);
  if (kind == TRAP_SEGMENT_SYN_ACK)
    return judge_syn_ack(skb, e, tuple, &option);
  if (option.defect != TRAP_PASS_OTHER)
    return TRAP_PASS_BAD_OPTION;
  return judge_rst(skb, e, tuple, place, &option);
}

/* A SYN-ACK or RST of a service that we sent a SYN to: does the connection begin, or is the service
 * dead? TRAP_PASS_FROM_SERVICE: it is the application's. */
static TRAP_SUBPROGRAM enum trap_verdict judge_service_answer(struct __sk_buff* skb,
                                                              struct packet_context* e,
                                                              const struct trap_tuple* tuple,
                                                              __u32 kind) {
  struct trap_pending* syn = bpf_map_lookup_elem(&pending, tuple);

  if (!syn || syn->state != TRAP_REDIRECTED || !(e->packet.flags & TRAP_TCP_ACK) ||
      e->packet.ack != next_seq(syn->isn))
    return TRAP_PASS_FROM_SERVICE;
  if (kind == TRAP_SEGMENT_RST)
    return ask_again(skb, e, tuple, syn, TRAP_PASS_FROM_SERVICE);
  set_state(syn, TRAP_ANSWERED);
  note_what_worked(tuple);
  return TRAP_PASS_FROM_SERVICE;
}

static TRAP_SUBPROGRAM enum trap_verdict translate_inward(struct __sk_buff* skb,
                                                          struct packet_context* e,
                                                          const struct trap_inward* inward) {
  return replace_end(skb, &e->packet, TRAP_SOURCE, &inward->service, inward->port)
             ? TRAP_DROP_INTERNAL
             : TRAP_PASS_FROM_SERVICE;
}

static __always_inline enum trap_verdict judge_incoming_segment(struct __sk_buff* skb,
                                                                struct packet_context* e) {
  struct trap_tuple tuple = incoming_tuple(&e->packet, e->side);
  enum trap_segment kind = trap_segment_kind(e->packet.flags);
  int begins = kind == TRAP_SEGMENT_SYN_ACK || kind == TRAP_SEGMENT_RST;
  enum trap_verdict verdict = TRAP_PASS_FROM_SERVICE;
  struct trap_inward inward;

  if (!find_inward(skb, &tuple, e->packet.family, &inward))
    return begins ? judge_answer(skb, e, &tuple, kind) : TRAP_PASS_OTHER;
  tuple.remote = inward.service; /* as the application knows it */
  tuple.remote_port = inward.port;
  if (begins)
    verdict = judge_service_answer(skb, e, &tuple, kind);
  return verdict == TRAP_PASS_FROM_SERVICE ? translate_inward(skb, e, &inward) : verdict;
}

/* Can this segment concern us? Answers to SYNs do, and what comes from where a connection was
 * redirected from or to. */
static __always_inline int may_concern_us(const struct trap_packet* packet) {
  return packet->flags & (TRAP_TCP_SYN | TRAP_TCP_RST) ||
         may_be_redirected(&packet->source, packet->source_port);
}

static __always_inline enum trap_verdict judge_incoming(struct __sk_buff* skb,
                                                        struct packet_context* e) {
  pull_headers(skb);
  switch (read_packet(skb, e)) {
  case TRAP_LAYER_TCP:
    if (!may_concern_us(&e->packet))
      return TRAP_PASS_OTHER;
    return judge_incoming_segment(skb, e);
  case TRAP_LAYER_OTHER:
    return judge_incoming_icmp(skb, e);
  default:
    return TRAP_PASS_OTHER;
  }
}
