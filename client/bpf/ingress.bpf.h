/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Incoming packets: those of redirected connections are translated back; answers of TRAP servers to
 * remembered SYNs are handled before the application's socket sees them (docs/protocol.md 11). */
#pragma once

#include "client/bpf/consent.bpf.h"
#include "client/bpf/egress.bpf.h"
#include "client/bpf/lane.bpf.h"
#include "client/bpf/retry.bpf.h"

/* Makes an entry of the redirect table from the REDIRECT in the option area. A service behind a
 * translator names the IPv4 address of its backend, which is reached by the same translator. 0 on
 * success. */
static __always_inline int read_redirect(const struct trap_packet* packet, struct scratch* memory,
                                         const struct trap_option* option,
                                         struct trap_redirect* redirect) {
  const struct trap_option_area* area = &memory->area;
  int names_ipv4 = packet->family == TRAP_IPV4 || memory->translator_bits;
  struct trap_redirect_body body;
  const __u8* at = trap_option_body(area, option, sizeof(body) + (names_ipv4 ? 4 : 16));
  __u32 lifetime_s;
  __be32 ipv4;

  if (!at)
    return -1;
  __builtin_memcpy(&body, at, sizeof(body));
  if (names_ipv4) {
    __builtin_memcpy(&ipv4, at + sizeof(body), 4);
    redirect->backend = memory->translator_bits
                            ? trap_nat64_embed(&memory->translator, memory->translator_bits, ipv4)
                            : trap_address_v4(ipv4);
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
  redirect->unanswered_ns = 0;
  redirect->unanswered = 0;
  return 0;
}

/* Was an ACCEPT sent for this connect to a SYN-ACK of that number? Then its answer is the module's,
 * however late it comes, and never the socket's. */
static __always_inline int was_accepted(const struct trap_pending* syn, __be32 iss) {
  return syn->accepts && (syn->accepted_iss[0] == iss || syn->accepted_iss[1] == iss);
}

static __always_inline void note_accept(struct trap_pending* syn) {
  if (explaining)
    return;
  if (!was_accepted(syn, syn->iss)) {
    syn->accepted_iss[1] = syn->accepts ? syn->accepted_iss[0] : syn->iss;
    syn->accepted_iss[0] = syn->iss;
  }
  if (!(syn->connect & TRAP_CONNECT_ACCEPTED) && syn->accepts < 255)
    syn->accepts++;
  syn->connect |= TRAP_CONNECT_ACCEPTED;
}

/* Does the TRAP server name the backend again that does not answer? */
static __always_inline int leads_nowhere(const struct scratch* memory) {
  return is_noted_of(&memory->key, &memory->redirect.backend, memory->redirect.port,
                     TRAP_FALLBACK_UNREACHABLE);
}

/* Did a target not consent to this connect, or this one not lately? Nor can it if no ticket reaches
 * it. */
static __always_inline int will_not_consent(const struct scratch* memory,
                                            const struct trap_pending* syn) {
  const struct trap_redirect* redirect = &memory->redirect;

  if (syn->connect & TRAP_CONNECT_UNCONSENTED)
    return 1;
  if (!(redirect->flags & TRAP_REDIRECT_TO_CONSENT))
    return 0;
  return !has_room_for_ticket(syn, redirect->flags) ||
         is_noted_of(&memory->key, &redirect->backend, redirect->port, TRAP_FALLBACK_UNCONSENTED);
}

/* Can the connect be served instead of led on? The socket has no connection yet, and the TRAP
 * server serves. */
static __always_inline int may_be_served(const struct trap_pending* syn) {
  return syn->state == TRAP_ACCEPT_SENT && !syn->is_renewal &&
         !(syn->connect & TRAP_CONNECT_RESETS);
}

/* Does the RST answer the socket's own ACK, or as well as if it did? A TRAP server that resets
 * answers an ACK with ACCEPT and one without alike. */
static __always_inline int is_the_sockets(const struct trap_pending* syn, __be32 iss) {
  return syn->state == TRAP_SYN_ACK_PASSED && syn->connect & TRAP_CONNECT_RESETS && iss == syn->iss;
}

/* Does the TRAP server, which resets, name the backend again that does not answer, to a connect
 * that has found it out itself, or that was left to the reset, because ACCEPTs are in vain as well?
 * Nothing better will come then. A backend that is silent may be behind losses: that takes
 * patience. */
static __always_inline int is_to_be_reset(const struct scratch* memory,
                                          const struct trap_pending* syn) {
  return syn->connect & TRAP_CONNECT_RESETS && leads_nowhere(memory) &&
         (syn->connect & TRAP_CONNECT_ASKED_AGAIN || has_given_up(syn) ||
          (syn->state == TRAP_SYN_ACK_PASSED && has_fallback(&memory->key, TRAP_FALLBACK_RESET)));
}

/* The REDIRECT of a RST with the exact numbers, into memory->redirect; or the verdict if it is of
 * no use. A middlebox may have taken it out; it may name a backend of the other family, because
 * addresses are translated between the two on the way; or a target that policy forbids, or that
 * will not consent. */
static __always_inline TRAP_MUST_USE enum trap_verdict
find_redirect(const struct packet_context* context, struct scratch* memory,
              const struct trap_pending* syn, const struct trap_option* option) {
  __u32 family = context->packet.family;

  if (option->defect != TRAP_OPTIONS_SOUND)
    return TRAP_PASS_BAD_OPTION;
  if (option->type != TRAP_REDIRECT)
    return TRAP_PASS_OTHER;
  if (read_redirect(&context->packet, memory, option, &memory->redirect))
    return TRAP_PASS_BAD_OPTION;
  memory->hop.service = context->packet.source;
  memory->hop.service_port = context->packet.source_port;
  memory->hop.target = memory->redirect.backend;
  memory->hop.target_port = memory->redirect.port;
  if (!target_is_allowed(family))
    return TRAP_PASS_REDIRECT_REFUSED;
  if (!does_without_consent(family))
    memory->redirect.flags |= TRAP_REDIRECT_TO_CONSENT;
  return will_not_consent(memory, syn) ? TRAP_PASS_REDIRECT_REFUSED : TRAP_REPLY_REISSUED_SYN;
}

/* Which way did the SYN go? The daemon's and those of a LAN have none: that back to the sender of
 * the packet at hand. 0 on success. */
static __always_inline int find_way(struct __sk_buff* skb, struct scratch* memory,
                                    const struct trap_pending* syn) {
  memory->way.mark = syn->mark;
  memory->way.user = syn->user;
  memory->way.bound = syn->bound;
  memory->way.traffic_class = syn->traffic_class;
  memory->way.ifindex = syn->ifindex ? syn->ifindex : skb->ifindex;
  if (!syn->ifindex)
    return (int)bpf_skb_load_bytes(skb, ETH_ALEN, memory->way.next_hop, ETH_ALEN);
  __builtin_memcpy(memory->way.next_hop, syn->ethernet, ETH_ALEN);
  return 0;
}

/* A well-formed REDIRECT for a connect of ours, to a target that is allowed. */
static __always_inline TRAP_MUST_USE enum trap_verdict
follow_redirect(struct __sk_buff* skb, struct packet_context* context,
                const struct trap_tuple* tuple, struct scratch* memory, struct trap_pending* syn) {
  const struct trap_redirect_key* key = &memory->key;
  struct trap_redirect* redirect = &memory->redirect;
  struct trap_outward* outward = &memory->outward;
  __u8 state = syn->state;
  int has_next_hop;

  if (state == TRAP_SYN_ACK_PASSED)
    redirect->flags |= TRAP_REDIRECT_FROM_RESET;
  else if (!syn->is_renewal)
    note_question(redirect);
  set_state(syn, TRAP_REDIRECTED);
  if (store(&redirects, key, redirect, BPF_ANY))
    return TRAP_DROP_INTERNAL;
  if (state == TRAP_SYN_ACK_PASSED)
    return TRAP_PASS_REDIRECT_LEARNT;
  if (syn->is_renewal)
    return TRAP_REDIRECT_RENEWED;
  __builtin_memset(outward, 0, sizeof(*outward));
  outward->backend = redirect->backend;
  outward->port = redirect->port;
  outward->syns = 1;
  outward->isn = syn->isn;
  memory->tuple = *tuple;
  has_next_hop = !find_way(skb, memory, syn);
  if (is_led_elsewhere(context->packet.family))
    return do_without_lane(skb, context, tuple, syn);
  if (has_next_hop && needs_neighbour(skb, context))
    outward->flags |= TRAP_FLOW_VIA_NEIGHBOUR;
  if ((has_fallback(key, TRAP_FALLBACK_UNTICKETED) &&
       !(redirect->flags & TRAP_REDIRECT_TO_CONSENT)) ||
      !has_room_for_ticket(syn, redirect->flags))
    outward->flags |= TRAP_FLOW_UNTICKETED;
  if (store_flow(skb, context->packet.family))
    return do_without_lane(skb, context, tuple, syn);
  if (!(outward->flags & TRAP_FLOW_UNTICKETED))
    note_ticket(&redirect->ticket);
  return reissue_syn(skb, context, tuple, syn, redirect, outward->flags);
}

/* Of a RST whose numbers do not fit. */
static __always_inline TRAP_MUST_USE enum trap_verdict
verdict_of_stranger(const struct trap_option* option) {
  if (option->defect != TRAP_OPTIONS_SOUND)
    return TRAP_PASS_BAD_OPTION;
  return option->type == TRAP_REDIRECT ? TRAP_PASS_REDIRECT_UNEXPECTED : TRAP_PASS_OTHER;
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_rst(struct __sk_buff* skb, struct packet_context* context, const struct trap_tuple* tuple,
          struct scratch* memory, const struct trap_option* option) {
  struct trap_pending* syn = find_pending(tuple);
  __be32 iss = TRAP_BE32(TRAP_FROM_BE32(context->packet.seq) - 1);
  int is_trap = option->type == TRAP_REDIRECT || option->defect != TRAP_OPTIONS_SOUND;
  enum trap_verdict found;
  int is_ours;

  if (!syn)
    return TRAP_PASS_OTHER;
  is_ours = was_accepted(syn, iss);
  if ((iss != syn->iss && !is_ours) || context->packet.ack != next_seq(syn->isn) ||
      !(context->packet.flags & TRAP_TCP_ACK))
    return verdict_of_stranger(option);
  if (is_trap && (syn->state == TRAP_REDIRECTED || syn->state == TRAP_ANSWERED))
    return TRAP_DROP_LATE_ANSWER;
  if (is_trap && is_ours && !is_the_sockets(syn, iss) &&
      (syn->state == TRAP_SYN_SENT || syn->state == TRAP_SYN_ACK_PASSED))
    return TRAP_DROP_LATE_ANSWER; /* the connect goes on, or went on, without it */
  if (option->type == TRAP_REDIRECT && syn->state != TRAP_ACCEPT_SENT &&
      syn->state != TRAP_SYN_ACK_PASSED)
    return TRAP_PASS_REDIRECT_UNEXPECTED;
  memory->key = redirect_key(tuple);
  if (option->type == TRAP_REDIRECT && syn->state == TRAP_ACCEPT_SENT)
    note_heard(&memory->key);
  found = find_redirect(context, memory, syn, option);
  if (may_be_served(syn) && (found != TRAP_REPLY_REISSUED_SYN || leads_nowhere(memory)))
    return ask_to_be_served(skb, context, tuple, &memory->key, syn);
  if (found == TRAP_REPLY_REISSUED_SYN && is_to_be_reset(memory, syn))
    return TRAP_PASS_REDIRECT_REFUSED;
  return found == TRAP_REPLY_REISSUED_SYN ? follow_redirect(skb, context, tuple, memory, syn)
                                          : found;
}

/* Of a connect that was left to its socket, the SYN-ACK that the socket has got counts. */
static __always_inline void note_syn_ack(struct trap_pending* syn,
                                         const struct trap_packet* packet) {
  if (explaining || syn->state == TRAP_SYN_ACK_PASSED)
    return;
  syn->iss = packet->seq;
  if (packet->window)
    syn->connect &= ~TRAP_CONNECT_RESETS;
  else
    syn->connect |= TRAP_CONNECT_RESETS;
}

/* Is the handshake to be left to the socket, though the SYN-ACK has OFFER? memory->key is the
 * service. */
static __always_inline int is_to_be_declined(const struct scratch* memory,
                                             const struct trap_pending* syn,
                                             const struct trap_packet* packet) {
  if (syn->is_renewal)
    return 0;
  if (!packet->window)
    return has_fallback(&memory->key, TRAP_FALLBACK_RESET);
  return syn->connect & (TRAP_CONNECT_HAS_NO_WAY | TRAP_CONNECT_UNCONSENTED) ||
         has_fallback(&memory->key, TRAP_FALLBACK_SERVED);
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_syn_ack(struct __sk_buff* skb, struct packet_context* context, struct scratch* memory) {
  const struct trap_option* option = &memory->option;
  const struct trap_tuple* tuple = &memory->wire;
  struct trap_pending* syn = find_pending(tuple);

  if (!syn || context->packet.ack != next_seq(syn->isn))
    return TRAP_PASS_OTHER;
  if (syn->state == TRAP_REDIRECTED ||
      syn->state == TRAP_ANSWERED) /* the service will answer; this would mislead the socket */
    return TRAP_DROP_LATE_ANSWER;
  note_syn_ack(syn, &context->packet);
  if (option->type != TRAP_OFFER) {
    set_state(syn, TRAP_SYN_ACK_PASSED);
    return option->defect == TRAP_OPTIONS_SOUND ? TRAP_PASS_SYN_ACK_NOTED : TRAP_PASS_BAD_OPTION;
  }
  if (!source_may_redirect(memory, &context->packet)) {
    set_state(syn, TRAP_SYN_ACK_PASSED);
    return TRAP_PASS_OFFER_REFUSED;
  }
  memory->key = redirect_key(tuple);
  if (is_to_be_declined(memory, syn, &context->packet)) {
    set_state(syn, TRAP_SYN_ACK_PASSED);
    return TRAP_PASS_OFFER_DECLINED;
  }
  if (syn->state == TRAP_SYN_ACK_PASSED)
    return TRAP_PASS_OFFER_DECLINED; /* the socket has a connection: nothing takes it back */
  set_state(syn, TRAP_ACCEPT_SENT);
  note_accept(syn);
  return reply_with_accept(skb, context, tuple, syn, option);
}

/* Finds TRAP's option in an answer to a remembered SYN. 0 if it answers none of this host. */
static TRAP_SUBPROGRAM int read_answer(struct __sk_buff* skb, const struct packet_context* context,
                                       struct scratch* memory) {
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;

  const struct trap_client_settings* set = client_settings();
  __u32 family = context->packet.family;

  const struct trap_pending* syn = find_pending(&memory->wire);

  if (!set || !syn || is_to_other_host(skb, syn))
    return 0;
  memory->translator_bits =
      family == TRAP_IPV6 ? trap_translator_of(set, &context->packet.source, &memory->translator)
                          : 0;
  memory->option =
      trap_find_option(&memory->area, trap_l4(&context->packet, data), end,
                       context->packet.header_bytes, memory->translator_bits ? TRAP_IPV4 : family);
  return 1;
}

/* A SYN-ACK or RST that may answer a remembered SYN. */
static __always_inline TRAP_MUST_USE enum trap_verdict judge_answer(struct __sk_buff* skb,
                                                                    struct packet_context* context,
                                                                    struct scratch* memory,
                                                                    enum trap_segment kind) {
  if (!read_answer(skb, context, memory))
    return TRAP_PASS_OTHER;
  if (kind == TRAP_SEGMENT_SYN_ACK)
    return judge_syn_ack(skb, context, memory);
  return judge_rst(skb, context, &memory->wire, memory, &memory->option);
}

/* A RST of a service: if it answers a redirected SYN, the service is dead. The walk goes on if the
 * application is to see the answer. */
static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_walk
judge_service_rst(struct __sk_buff* skb, struct packet_context* context,
                  const struct trap_tuple* tuple, enum trap_verdict* verdict) {
  struct trap_pending* syn = find_pending(tuple);

  if (!syn || syn->state != TRAP_REDIRECTED || !(context->packet.flags & TRAP_TCP_ACK) ||
      context->packet.ack != next_seq(syn->isn) || is_to_other_host(skb, syn))
    return TRAP_WALK_GOES_ON;
  return ask_again(skb, context, syn, 1, verdict);
}

/* Is this a connection that a redirect led to its service? Others have a place on the wire because
 * of their local port. */
static __always_inline int was_redirected(const struct scratch* memory) {
  const struct trap_inward* inward = &memory->inward;

  return !(inward->flags & TRAP_FLOW_FORWARDED) &&
         (inward->port != memory->wire.remote_port ||
          !trap_address_equal(&inward->service, &memory->wire.remote));
}

/* A SYN-ACK of a service, or a SYN, which would open a connection from both ends: if a redirected
 * connect waits for an answer, the connection begins, or the service does not consent to it.
 * Nothing that is forgotten makes a target one that consented. The walk goes on if the application
 * is to see the segment. */
static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_walk
judge_service_syn(struct __sk_buff* skb, struct packet_context* context, struct scratch* memory,
                  __u32 kind, enum trap_verdict* verdict) {
  int is_answer = kind == TRAP_SEGMENT_SYN_ACK;
  struct trap_pending* syn;

  if (!was_redirected(memory))
    return TRAP_WALK_GOES_ON;
  syn = find_pending(&memory->tuple);
  if (is_answer && syn && (context->packet.ack != next_seq(syn->isn) || is_to_other_host(skb, syn)))
    return TRAP_WALK_GOES_ON;
  memory->hop.service = memory->tuple.remote;
  memory->hop.service_port = memory->tuple.remote_port;
  memory->hop.target = memory->wire.remote;
  memory->hop.target_port = memory->wire.remote_port;
  if (!(is_answer && has_consent(skb)) && !has_begun(memory, syn) &&
      !does_without_consent(context->packet.family)) {
    *verdict = is_answer ? (enum trap_verdict)refuse_target(skb) : TRAP_DROP_UNCONSENTED;
    return TRAP_WALK_ENDS;
  }
  if (is_answer && syn && syn->state == TRAP_REDIRECTED) {
    set_state(syn, TRAP_ANSWERED);
    note_what_worked(memory);
  }
  return TRAP_WALK_GOES_ON;
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
translate_inward(struct __sk_buff* skb, struct packet_context* context,
                 const struct trap_inward* inward) {
  if (inward->flags == TRAP_FLOW_FORWARDED) /* and lane 0: it is as it should be */
    return TRAP_PASS_OTHER;
  return replace_end(skb, &context->packet, TRAP_SOURCE, &inward->service, inward->port,
                     inward->flags)
             ? TRAP_DROP_INTERNAL
             : TRAP_PASS_FROM_SERVICE;
}

static __always_inline TRAP_MUST_USE enum trap_verdict
judge_incoming_segment(struct __sk_buff* skb, struct packet_context* context) {
  enum trap_segment kind = trap_segment_kind(context->packet.flags);
  int begins = kind == TRAP_SEGMENT_SYN_ACK || kind == TRAP_SEGMENT_RST;
  enum trap_verdict verdict = TRAP_DROP_INTERNAL;
  struct scratch* memory = find_scratch();

  if (!memory)
    return TRAP_PASS_OTHER;
  memory->wire = incoming_tuple(&context->packet, context->side);
  if (!find_inward(skb, &memory->wire, context->packet.family, &memory->inward))
    return begins ? judge_answer(skb, context, memory, kind) : TRAP_PASS_OTHER;
  memory->tuple = socket_side_tuple(&memory->wire, &memory->inward);
  if (kind == TRAP_SEGMENT_RST &&
      judge_service_rst(skb, context, &memory->tuple, &verdict) == TRAP_WALK_ENDS)
    return verdict;
  if ((kind == TRAP_SEGMENT_SYN_ACK || kind == TRAP_SEGMENT_SYN) &&
      judge_service_syn(skb, context, memory, kind, &verdict) == TRAP_WALK_ENDS)
    return verdict;
  return translate_inward(skb, context, &memory->inward);
}

/* Can this segment concern a redirect? Answers to SYNs can, and segments from an end that a
 * connection was redirected from or to. */
static __always_inline int may_concern_redirect(const struct trap_packet* packet) {
  return packet->flags & (TRAP_TCP_SYN | TRAP_TCP_RST) ||
         may_be_redirected(&packet->source, packet->source_port);
}

static __always_inline TRAP_MUST_USE enum trap_verdict
judge_incoming(struct __sk_buff* skb, struct packet_context* context) {
  pull_headers(skb);
  switch (read_packet(skb, context)) {
  case TRAP_LAYER_TCP:
    if (!may_concern_redirect(&context->packet))
      return TRAP_PASS_OTHER;
    return judge_incoming_segment(skb, context);
  case TRAP_LAYER_OTHER:
    return judge_incoming_icmp(skb, context);
  default:
    return TRAP_PASS_OTHER;
  }
}
