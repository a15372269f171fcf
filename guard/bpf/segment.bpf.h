/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Segments that are not SYNs: they open, use and close the flow that a SYN began. A flow is
 * half-open until our SYN-ACK is acknowledged, then open, then closing; where the service's sockets
 * are this host's, they say which. */
#pragma once

#include "guard/bpf/budget.bpf.h"
#include "guard/bpf/stack.bpf.h"

/* A flow's flags after a segment of the client, by the state of its socket before that segment. A
 * FIN may have a number that the stack ignores, so that it does not end the flow by itself: its
 * socket does, and one that is still established takes the closing back. A RST ends it by the
 * number that RFC 5961, 3.2 asks for; with another, the socket decides as for a FIN. */
static __always_inline __u8 flags_beside_socket(__u8 flags, __u8 segment, __u32 state,
                                                int is_exact) {
  if ((segment & TRAP_TCP_RST) && is_exact)
    return flags | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED;
  switch (state) {
  case TRAP_STATE_TIME_WAIT:
    return flags | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED;
  case TRAP_STATE_NEW_SYN_RECV:
    return segment & TRAP_TCP_RST ? flags | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED : flags;
  case TRAP_STATE_LAST_ACK:
    return segment & TRAP_TCP_FIN ? flags | TRAP_FLOW_CLOSING
                                  : flags | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED;
  case TRAP_STATE_FIN_WAIT1:
  case TRAP_STATE_FIN_WAIT2:
  case TRAP_STATE_CLOSING:
    if (segment & TRAP_TCP_FIN) /* both have closed */
      return flags | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED;
    break;
  default:
    break;
  }
  if (segment & (TRAP_TCP_FIN | TRAP_TCP_RST))
    return flags | TRAP_FLOW_CLOSING;
  flags &= (__u8)~TRAP_FLOW_ENDED;
  return state == TRAP_STATE_ESTABLISHED ? flags & (__u8)~TRAP_FLOW_CLOSING : flags;
}

/* The same where the sockets are elsewhere. A FIN or RST has the right number if it is the one that
 * the service acknowledged last, or if it follows what the client sent without a gap. With any
 * other it changes nothing, because who guesses can hit the window of a service, but not one
 * number; the service answers it, and then its client repeats it with the right one (RFC
 * 5961, 3.2). If nothing of the service's was seen, as without the egress program, every number is
 * right. */
static __always_inline __u8 flags_elsewhere(const struct trap_guard_flow* flow, __u32 segment,
                                            __u32 seq, __u32 expected) {
  __u8 flags = flow->flags;

  if (expected && seq != expected && seq != flow->client_next)
    return flags;
  flags |= TRAP_FLOW_CLOSING;
  if (!expected || (segment & TRAP_TCP_RST) || (flags & TRAP_FLOW_SERVER_CLOSED))
    return flags | TRAP_FLOW_ENDED;
  return flags | TRAP_FLOW_CLIENT_CLOSED;
}

/* Data that may be on its way before the client's first ACK (TCP Fast Open, RFC 7413). */
#define TRAP_EARLY_DATA_MOST (1U << 17)

/* Beside a segment's TCP flags. */
#define TRAP_ENDS_AT_SOCKETS 0x100u
#define TRAP_ANSWERED_ONLY 0x200u /* a half-open flow without a SYN-ACK does not count */

/* The numbers of a segment, host byte order. In one word, because the stack of kernel 6.1 has no
 * room for them on the way to the functions by themselves. */
union numbers {
  struct {
    __u32 seq;
    __u32 ack;
  };
  __u64 word;
};

/* What becomes of a connection whose segment no open flow knows. */
enum beginning {
  BEGINS_NOTHING,
  BEGINS_WITHIN_LIMITS, /* it was half-open */
  BEGINS_ANYHOW,        /* it is open already */
};

/* Flags of a flow that begins with this segment. */
static __always_inline __u8 flags_by(__u32 segment) {
  return segment & (TRAP_TCP_FIN | TRAP_TCP_RST) ? TRAP_FLOW_CLOSING : 0;
}

static __always_inline int is_behind(__u32 number, __u32 isn, __u8 flow_flags) {
  return number - isn - 1 <= (flow_flags & TRAP_FLOW_EARLY_DATA ? TRAP_EARLY_DATA_MOST : 0);
}

/* A segment without an open flow, or of one that is closing, may be of a half-open one. If it
 * acknowledges the SYN-ACK, the flow is to begin: TRAP_PASS_FLOW, and the opening has its flags. A
 * RST with the number that the SYN-ACK acknowledges ends it. If no SYN-ACK was seen, as without the
 * egress program, every segment has the right numbers; but a SYN that got no answer beside a
 * connection which was answered, or which the host has, is an outsider's. TRAP_DROP_NO_FLOW if
 * there is no half-open flow. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict check_half_open(struct opening* opening,
                                                                     __u32 segment, __u64 word) {
  union numbers numbers = {.word = word};
  struct trap_guard_flow* flow;
  union standing standing;
  __u32 isn;

  if (!opening)
    return TRAP_DROP_NO_FLOW;
  flow = find_half_open(&opening->key, hash_flow(&opening->key), coarse_ns());
  if (!flow)
    return TRAP_DROP_NO_FLOW;
  isn = *(volatile __u32*)&flow->isn;
  if (!isn && ((segment & TRAP_ANSWERED_ONLY) ||
               (!(segment & TRAP_ENDS_AT_SOCKETS) && was_answered(&opening->key))))
    return TRAP_DROP_NO_FLOW;
  standing = standing_of(flow);
  if (isn && (segment & TRAP_TCP_ACK) && !is_behind(numbers.ack, isn, standing.flags))
    return TRAP_DROP_HALF_OPEN;
  if (segment & TRAP_TCP_RST) {
    if (isn && !is_behind(numbers.seq, flow->client_isn, standing.flags))
      return TRAP_DROP_HALF_OPEN;
    if (explaining)
      return TRAP_PASS_FLOW;
    if (isn)
      flow->seen_ns = TRAP_FLOW_EMPTY;
    else /* nobody resets what was not answered: its client looked for CONSENT in vain */
      flow->flags |= TRAP_FLOW_UNSEEN;
    return TRAP_PASS_FLOW;
  }
  opening->key.expected = isn ? flow->client_isn + 1 : 0;
  opening->subject.tag = standing.tag;
  opening->subject.flow_flags = standing.flags | flags_by(segment) | (isn ? 0 : TRAP_FLOW_UNSEEN);
  opening->subject.beginning = BEGINS_WITHIN_LIMITS;
  return TRAP_PASS_FLOW;
}

/* A segment that no flow of ours knows: by the host's own sockets, if the service's are here. The
 * flow begins with budgets if its client has some, and with the tag that the client had last. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict
judge_by_socket(struct xdp_md* ctx, struct opening* opening, __u32 segment, __u64 word) {
  union numbers numbers = {.word = word};
  const struct trap_guard_client* client;
  union asked asked;

  if (!opening || !(segment & TRAP_ENDS_AT_SOCKETS))
    return TRAP_DROP_NO_FLOW;
  asked.word = ask_stack(ctx, &opening->key);
  if (!trap_socket_is_connection(socket_of_state(asked.state)))
    return TRAP_DROP_NO_FLOW;
  opening->subject.beginning = BEGINS_ANYHOW;
  if (asked.state == TRAP_STATE_NEW_SYN_RECV) {
    if ((segment & TRAP_TCP_ACK) && numbers.ack != asked.number + 1)
      return TRAP_DROP_HALF_OPEN;
    if ((segment & (TRAP_TCP_ACK | TRAP_TCP_RST)) != TRAP_TCP_ACK) {
      opening->subject.beginning = BEGINS_NOTHING;
      return TRAP_PASS_SOCKET;
    }
    opening->subject.beginning = BEGINS_WITHIN_LIMITS;
  }
  opening->subject.flow_flags = flags_by(segment);
  client = find_client(&opening->subject.client);
  if (client) {
    opening->subject.tag = client->tag;
    opening->subject.flow_flags |= TRAP_FLOW_BUDGETED;
  }
  return TRAP_PASS_SOCKET;
}

/* Begins a flow that is to. Its first segment takes nothing from its budget: it belongs to the
 * handshake, for which the SYN has paid. If its client has too many, the flow stays half-open. */
static __always_inline TRAP_MUST_USE enum trap_verdict begin_if_due(const struct opening* opening,
                                                                    enum trap_verdict verdict) {
  const struct subject* subject = &opening->subject;
  enum added added = ADDED;

  if ((verdict != TRAP_PASS_FLOW && verdict != TRAP_PASS_SOCKET) ||
      subject->beginning == BEGINS_NOTHING)
    return verdict;
  if (subject->flow_flags & TRAP_FLOW_BUDGETED) {
    if (subject->beginning == BEGINS_ANYHOW)
      count_flow(subject, subject->tag, 1);
    else
      added = add_flows(subject);
  }
  if (added != ADDED)
    return verdict_of_added(added);
  if (!open_up(opening) && (subject->flow_flags & TRAP_FLOW_BUDGETED))
    count_flow(subject, subject->tag, -1);
  return verdict;
}

/* The host has a socket for the connection that has left SYN-RECEIVED. */
static __always_inline int is_past_handshake(union asked asked) {
  return trap_socket_is_connection(socket_of_state(asked.state)) &&
         asked.state != TRAP_STATE_NEW_SYN_RECV;
}

/* A FIN or RST of a flow, or any segment of one that is closing: TRAP_PASS_FLOW, and then it pays;
 * or that of a half-open flow, which takes the closing one's place. If the flow's socket is gone,
 * only a FIN or RST passes, so that the flow of a socket that never came about can end. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict judge_end(struct xdp_md* ctx,
                                                               struct opening* opening,
                                                               struct trap_guard_flow* flow,
                                                               __u32 segment, __u64 word) {
  union numbers numbers = {.word = word};
  union asked asked = {};
  __u32 ends, flags;

  if (!opening || !flow)
    return TRAP_DROP_NO_FLOW;
  if (segment & TRAP_ENDS_AT_SOCKETS)
    asked.word = ask_stack(ctx, &opening->key);
  if (flow->flags & TRAP_FLOW_CLOSING) {
    __u32 only = is_past_handshake(asked) ? TRAP_ANSWERED_ONLY : 0;
    enum trap_verdict verdict = check_half_open(opening, segment | only, word);

    if (verdict != TRAP_DROP_NO_FLOW)
      return begin_if_due(opening, verdict);
  }
  ends = segment & (TRAP_TCP_FIN | TRAP_TCP_RST);
  if (segment & TRAP_ENDS_AT_SOCKETS) {
    if (trap_socket_is_connection(socket_of_state(asked.state))) {
      turn_flow(&opening->subject, flow,
                flags_beside_socket(flow->flags, (__u8)segment, asked.state,
                                    asked.state != TRAP_STATE_NEW_SYN_RECV &&
                                        numbers.seq == asked.number));
      if (!explaining && !(flow->flags & TRAP_FLOW_ENDED))
        flow->seen_ns = coarse_ns();
      return TRAP_PASS_FLOW;
    }
    if (!ends) {
      turn_flow(&opening->subject, flow, flow->flags | TRAP_FLOW_ENDED);
      return TRAP_DROP_NO_FLOW;
    }
  }
  if (!ends)
    return TRAP_PASS_FLOW;
  flags = segment & TRAP_ENDS_AT_SOCKETS
              ? flow->flags | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED
              : flags_elsewhere(flow, segment, numbers.seq, opening->key.expected);
  if (flags != flow->flags && !explaining) {
    turn_flow(&opening->subject, flow, flags);
    flow->seen_ns = coarse_ns();
  }
  return TRAP_PASS_FLOW;
}

/* 0 if a segment without an open flow belongs to nothing, which most of a flood do: there is no
 * half-open flow, and no connection of this host. */
TRAP_GLOBAL_FUNCTION int belongs(struct xdp_md* ctx, const struct trap_flow_key* key, __u64 hash,
                                 __u32 segment) {
  if (may_be_half_open(hash, coarse_ns()))
    return 1;
  return (segment & TRAP_ENDS_AT_SOCKETS) && has_connection(ctx, key);
}

/* A segment that no open flow knows. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict
judge_unknown(struct xdp_md* ctx, struct opening* opening, __u32 segment, __u64 word) {
  enum trap_verdict verdict;

  if (!opening)
    return TRAP_DROP_NO_FLOW;
  verdict = check_half_open(opening, segment, word);
  if (verdict == TRAP_DROP_NO_FLOW)
    verdict = judge_by_socket(ctx, opening, segment, word);
  return begin_if_due(opening, verdict);
}

/* Notes what the client of a service elsewhere sends, as far as it follows what the service
 * acknowledged, or what was noted before: an outsider would have to guess that number. `bytes`: of
 * its data, and one for a FIN. A function by itself, out of the way of all other segments. */
TRAP_GLOBAL_FUNCTION int note_arriving(struct trap_guard_flow* flow, __u32 expected, __u32 seq,
                                       __u32 bytes) {
  if (flow && bytes && !explaining && (seq == expected || seq == flow->client_next))
    flow->client_next = seq + bytes;
  return 0;
}

/* A segment that is not a SYN. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_flow(struct xdp_md* ctx, const struct packet_context* context) {
  struct opening opening = {.key = flow_key_of(&context->packet)};
  __u64 hash = hash_flow(&opening.key);
  struct trap_guard_flow* flow = find_flow(&opening.key, hash, context->monotonic_ns);
  union numbers numbers = {.seq = TRAP_FROM_BE32(context->packet.seq),
                           .ack = TRAP_FROM_BE32(context->packet.ack)};
  __u32 segment = context->packet.flags;

  if (context->port.flags & TRAP_PORT_SOCKETS)
    segment |= TRAP_ENDS_AT_SOCKETS;
  if (!flow) {
    if (!belongs(ctx, &opening.key, hash, segment))
      return TRAP_DROP_NO_FLOW;
    opening.subject = subject_of(context, 0);
    return judge_unknown(ctx, &opening, segment, numbers.word);
  }
  if ((flow->flags & TRAP_FLOW_CLOSING) || (segment & (TRAP_TCP_FIN | TRAP_TCP_RST))) {
    enum trap_verdict verdict;

    opening.subject = subject_of(context, 0);
    opening.key.expected = entry_of(flow)->key.expected;
    verdict = judge_end(ctx, &opening, flow, segment, numbers.word);
    if (verdict != TRAP_PASS_FLOW)
      return verdict;
  } else if (!explaining && context->monotonic_ns - flow->seen_ns > TRAP_FLOW_REFRESH_NS) {
    flow->seen_ns = context->monotonic_ns;
  }
  if (!(segment & TRAP_ENDS_AT_SOCKETS))
    note_arriving(flow, entry_of(flow)->key.expected, numbers.seq,
                  trap_payload_bytes(&context->packet) + !!(segment & TRAP_TCP_FIN));
  return flow->flags & TRAP_FLOW_BUDGETED ? pay(context, flow) : TRAP_PASS_FLOW;
}
