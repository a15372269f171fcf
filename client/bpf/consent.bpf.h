/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The target of a redirect has answered. Without its CONSENT the connection goes no further, unless
 * the target is next door to the public address, or the administrator trusts it
 * (docs/protocol.md 11, docs/adr/0035-consent.md). */
#pragma once

#include "client/bpf/pending.bpf.h"
#include "client/bpf/retry.bpf.h"
#include "client/bpf/trust.bpf.h"
#include "protocol/consent.h"

/* The SYN of memory->tuple carries this ticket: notes the CONSENT that is to answer it. That of the
 * ticket before is not forgotten: an answer may be under way. */
TRAP_GLOBAL_FUNCTION int note_ticket(const struct trap_ticket* ticket) {
  struct scratch* memory = find_scratch();
  struct trap_pending* syn;
  __u32 consent;

  if (!memory || !ticket)
    return 0;
  syn = find_pending(&memory->tuple);
  if (!syn || explaining)
    return 0;
  consent = trap_consent(ticket);
  if (syn->tickets && syn->consents[0] == consent)
    return 0;
  syn->consents[1] = syn->consents[0];
  syn->consents[0] = consent;
  syn->tickets = syn->tickets ? 2 : 1;
  return 0;
}

/* NOPs in place of the option of `bytes` bytes at area->cursor. */
TRAP_GLOBAL_FUNCTION int blank_option(struct trap_option_area* area, __u32 bytes) {
  if (!area)
    return 0;
  for (__u32 i = 0; i < TRAP_CONSENT_OPTION_BYTES_EXPERIMENTAL && i < bytes; i++) {
    __u64 at = area->cursor + i;

    TRAP_HOLD(at);
    if (at >= TRAP_TCP_OPTIONS_MAX)
      break;
    area->bytes[at] = TRAP_TCPOPT_NOP;
  }
  return 0;
}

/* Takes the CONSENT that is memory->option out of the SYN-ACK: it is no business of the socket's,
 * nor of a program that listens. 0 on success. */
static TRAP_SUBPROGRAM int remove_consent(struct __sk_buff* skb, struct scratch* memory) {
  const struct trap_packet* packet = &memory->packet_context.packet;
  __be32* words = (__be32*)memory->area.bytes;
  __u32 header_bytes =
      memory->option.experimental ? TRAP_HEADER_BYTES_EXPERIMENTAL : TRAP_HEADER_BYTES;
  __s64 sum = bpf_csum_diff(words, TRAP_TCP_OPTIONS_MAX, NULL, 0, 0);

  memory->area.cursor = memory->option.body_offset - header_bytes;
  blank_option(&memory->area, header_bytes + sizeof(struct trap_consent_body));
  return put_options_back(skb, packet, &memory->area, sum);
}

static __always_inline int is_consent_to(const struct trap_pending* syn, __u32 value) {
  return (syn->tickets && syn->consents[0] == value) ||
         (syn->tickets > 1 && syn->consents[1] == value);
}

/* The CONSENT in the SYN-ACK: is it that for a ticket of memory->tuple? It is taken out. */
TRAP_GLOBAL_FUNCTION int has_consent(struct __sk_buff* skb) {
  struct scratch* memory = find_scratch();
  struct trap_consent_body body;
  const struct trap_packet* packet;
  const struct trap_pending* syn;
  const __u8* at;

  if (!memory)
    return 0;
  packet = &memory->packet_context.packet;
  memory->option =
      trap_find_option(&memory->area, trap_l4(packet, (const void*)(long)skb->data),
                       (const void*)(long)skb->data_end, packet->header_bytes, packet->family);
  if (memory->option.type != TRAP_CONSENT)
    return 0;
  at = trap_option_body(&memory->area, &memory->option, sizeof(body));
  if (!at)
    return 0;
  __builtin_memcpy(&body, at, sizeof(body));
  if (remove_consent(skb, memory))
    return 0;
  syn = find_pending(&memory->tuple);
  return syn && is_consent_to(syn, trap_get_consent(&body));
}

/* Did the service of memory->tuple answer before? This is a repetition, or the answer to one. */
static __always_inline int has_begun(const struct scratch* memory, const struct trap_pending* syn) {
  const struct trap_outward* outward;

  if (syn)
    return syn->state == TRAP_ANSWERED;
  outward = bpf_map_lookup_elem(&to_backend, &memory->tuple);
  return outward && outward->flags & TRAP_FLOW_ANSWERED;
}

/* Resets the target's half of a connection that will not be one, in a copy of the packet. It goes
 * back to the link-layer address from which the answer came. 0 on success. */
TRAP_GLOBAL_FUNCTION int reset_target(struct __sk_buff* skb) {
  struct scratch* memory = find_scratch();
  const struct trap_pending* syn;
  struct packet_context* context;
  struct outgoing* out;

  if (!memory || explaining)
    return 0;
  context = &memory->packet_context;
  syn = find_pending(&memory->tuple);
  if (!syn)
    return 0;
  out = begin_outgoing(&memory->wire, context->packet.family, syn);
  if (!out)
    return 0;
  out->tcp.header.seq = context->packet.ack;
  out->tcp.header.flags = TRAP_TCP_RST;
  out->tcp.header.window = 0;
  return write_outgoing(skb, context, out) || send_copy(skb, memory);
}

/* The target did not consent: resets it, and asks the TRAP server to serve. Returns the verdict. */
TRAP_GLOBAL_FUNCTION int refuse_target(struct __sk_buff* skb) {
  struct scratch* memory = find_scratch();
  const struct trap_outward* outward;
  enum trap_verdict verdict;
  struct trap_pending* syn;

  if (!memory)
    return TRAP_DROP_INTERNAL;
  syn = find_pending(&memory->tuple);
  if (!syn || syn->state != TRAP_REDIRECTED)
    return TRAP_DROP_UNCONSENTED;
  memory->key = redirect_key(&memory->tuple);
  note_backend(&memory->key, &memory->wire.remote, memory->wire.remote_port,
               TRAP_FALLBACK_UNCONSENTED | TRAP_FALLBACK_SERVED);
  forget(&redirects, &memory->key);
  outward = bpf_map_lookup_elem(&to_backend, &memory->tuple);
  if (outward)
    forget_flow(&memory->tuple, outward);
  if (!explaining)
    syn->connect |= TRAP_CONNECT_UNCONSENTED;
  reset_target(skb);
  verdict = send_syn_again(skb, &memory->packet_context, &memory->tuple, syn);
  return verdict == TRAP_REPLY_SYN_AGAIN ? TRAP_REPLY_UNCONSENTED : verdict;
}
