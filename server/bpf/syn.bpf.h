/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SYN to SYN-ACK, without state: with a cookie and OFFER only if the service resets unaware
 * clients, with the options of a real connection too if it serves them. */
#pragma once

#include "server/bpf/budget.bpf.h"
#include "server/bpf/kernel_cookie.bpf.h"
#include "server/bpf/reply.bpf.h"
#include "server/bpf/time_wait_filter.bpf.h"
#include "server/served_cookie.h"

static __always_inline TRAP_MUST_USE enum trap_verdict judge_syn(struct hook hook,
                                                                 struct packet_context* context) {
  if (!policy_allows(context)) {
    context->flags &= ~TRAP_SERVICE_RESTS; /* a refusal holds at peace too */
    return TRAP_DROP_DENIED;
  }
  if (context->flags & TRAP_SERVICE_LEFT)
    return TRAP_PASS_SYN_LEFT;
  if (context->flags & TRAP_SERVICE_RESTS) {
    if (peace_allows(context->slot, context->service->peace_token_ns, context->monotonic_ns))
      return TRAP_PASS_SYN_AT_PEACE;
    context->flags &= ~TRAP_SERVICE_RESTS; /* an attack of which the daemon does not know yet */
  }
  if ((context->flags & TRAP_SERVICE_SOCKETS) && reopens(hook, context))
    return TRAP_PASS_SYN_TIME_WAIT;
  if (context->flags & TRAP_SERVICE_SILENT)
    return TRAP_DROP_NO_BACKEND;
  return judge_syn_ack_caps(context);
}

/* Window 0: a client that does not know TRAP must not send data, which would be lost. */
static __always_inline TRAP_MUST_USE enum trap_verdict
compose_trap_cookie(const struct packet_context* context, struct reply* reply) {
  __u32 window = trap_cookie_window(context->now.unix_ns);
  struct trap_connection connection = connection_of(&context->packet, context->packet.seq);
  struct trap_key key;

  if (!trap_keyring_find(&context->settings->cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT,
                         &key))
    return TRAP_DROP_NO_KEY;
  reply->seq = TRAP_BE32(trap_cookie(&key, &connection, window));
  reply->ack = TRAP_BE32(TRAP_FROM_BE32(context->packet.seq) + 1);
  if (offers(context))
    put_offer(reply);
  return TRAP_REPLY_SYN_ACK;
}

static __always_inline int has_both_timestamps(const struct packet_context* context,
                                               const struct trap_syn_options* syn) {
  return syn->has_timestamps && (context->flags & TRAP_SERVICE_TIMESTAMPS);
}

/* The options that the cookie says itself, because no timestamp can: index of
 * trap_served_plain_options. The kernel's cookie has no place for them. */
static __always_inline __u32 plain_options_of(const struct packet_context* context,
                                              const struct trap_syn_options* syn) {
  if (has_both_timestamps(context, syn) || !(context->flags & TRAP_SERVICE_ASSIGNS) ||
      !(context->flags & TRAP_SERVICE_SACK) || !syn->sack)
    return 0;
  return trap_served_plain_options(syn->has_window_scale && (context->flags & TRAP_SERVICE_SCALES),
                                   syn->window_scale);
}

static __always_inline void put_plain_options(struct reply* reply,
                                              const struct packet_context* context,
                                              const struct trap_syn_options* syn) {
  __u32 options = plain_options_of(context, syn);

  if (options)
    put_word(reply, TRAP_BE32(TRAP_TCPOPT_NOP << 24 | TRAP_TCPOPT_NOP << 16 |
                              TRAP_TCPOPT_SACK_PERMITTED << 8 | 2));
  if (options > TRAP_PLAIN_SACK)
    put_word(reply, TRAP_BE32(TRAP_TCPOPT_NOP << 24 | TRAP_TCPOPT_WINDOW_SCALE << 16 | 3 << 8 |
                              context->service->window_scale));
}

/* The options of a SYN-ACK to a client that may be served: only kinds that its SYN has, so that the
 * answer is no longer than the SYN. */
static __always_inline void put_some_served_options(struct reply* reply,
                                                    const struct packet_context* context,
                                                    const struct trap_syn_options* syn) {
  if (syn->has_mss)
    put_word(reply,
             TRAP_BE32(TRAP_TCPOPT_MSS << 24 | 4 << 16) | (__u32)context->service->mss << 16);
  if (!has_both_timestamps(context, syn)) {
    put_plain_options(reply, context, syn);
    return;
  }
  if (syn->sack && (context->flags & TRAP_SERVICE_SACK))
    put_word(reply, TRAP_BE32(TRAP_TCPOPT_SACK_PERMITTED << 24 | 2 << 16 |
                              TRAP_TCPOPT_TIMESTAMPS << 8 | 10));
  else
    put_word(reply, TRAP_BE32(TRAP_TCPOPT_NOP << 24 | TRAP_TCPOPT_NOP << 16 |
                              TRAP_TCPOPT_TIMESTAMPS << 8 | 10));
  put_word(reply, TRAP_BE32(cookie_timestamp(context, syn)));
  put_word(reply, syn->timestamp);
  if (syn->has_window_scale && (context->flags & TRAP_SERVICE_SCALES))
    put_word(reply, TRAP_BE32(TRAP_TCPOPT_NOP << 24 | TRAP_TCPOPT_WINDOW_SCALE << 16 | 3 << 8 |
                              context->service->window_scale));
}

#define TRAP_SERVED_ALL (TRAP_SERVICE_TIMESTAMPS | TRAP_SERVICE_SACK | TRAP_SERVICE_SCALES)

/* Most SYNs have all of these options; then the words have fixed places. */
static __always_inline void put_served_options(struct reply* reply,
                                               const struct packet_context* context,
                                               const struct trap_syn_options* syn) {
  __u32* words = reply->options.words;

  if ((context->flags & TRAP_SERVED_ALL) != TRAP_SERVED_ALL ||
      !(syn->has_mss & syn->has_timestamps & syn->sack & syn->has_window_scale)) {
    put_some_served_options(reply, context, syn);
    return;
  }
  words[0] = TRAP_BE32(TRAP_TCPOPT_MSS << 24 | 4 << 16) | (__u32)context->service->mss << 16;
  words[1] =
      TRAP_BE32(TRAP_TCPOPT_SACK_PERMITTED << 24 | 2 << 16 | TRAP_TCPOPT_TIMESTAMPS << 8 | 10);
  words[2] = TRAP_BE32(cookie_timestamp(context, syn));
  words[3] = syn->timestamp;
  words[4] = TRAP_BE32(TRAP_TCPOPT_NOP << 24 | TRAP_TCPOPT_WINDOW_SCALE << 16 | 3 << 8 |
                       context->service->window_scale);
  reply->option_words = 5;
}

static __always_inline TRAP_MUST_USE int make_cookie_to_assign(const struct packet_context* context,
                                                               const struct trap_syn_options* syn,
                                                               __u32* cookie) {
  __u32 window = trap_cookie_window(context->now.unix_ns);
  struct trap_connection connection = connection_of(&context->packet, context->packet.seq);
  struct trap_key key;

  if (!trap_keyring_find(&context->settings->cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT,
                         &key))
    return -1;
  *cookie = trap_served_cookie(&key, &connection, window,
                               trap_served_mss_index(syn->has_mss ? syn->mss : TRAP_MSS_DEFAULT));
  *cookie = trap_served_cookie_with(*cookie, plain_options_of(context, syn));
  return 0;
}

static __always_inline TRAP_MUST_USE enum trap_verdict
compose_served(const struct packet_context* context, struct reply* reply, const void* data,
               const void* end) {
  struct trap_syn_options syn;
  __u32 cookie;

  trap_read_syn_options(&syn, trap_l4(&context->packet, data), end, context->packet.header_bytes);
  if (context->flags & TRAP_SERVICE_ASSIGNS) {
    if (make_cookie_to_assign(context, &syn, &cookie))
      return TRAP_DROP_NO_KEY;
  } else if (make_kernel_cookie(context, &syn, data, end, &cookie)) {
    return TRAP_DROP_INTERNAL;
  }
  reply->seq = TRAP_BE32(cookie);
  reply->ack = TRAP_BE32(TRAP_FROM_BE32(context->packet.seq) + 1);
  reply->window = context->service->window;
  if (!has_both_timestamps(context, &syn) && context->service->plain_window)
    reply->window = context->service->plain_window;
  if (accepts_ecn(context, &syn))
    reply->flags |= TRAP_TCP_ECE;
  put_served_options(reply, context, &syn);
  if (offers(context))
    put_offer(reply);
  return TRAP_REPLY_SYN_ACK;
}

/* Composes the SYN-ACK, or returns the reason why there is none. */
static __always_inline TRAP_MUST_USE enum trap_verdict
compose_syn_ack(const struct packet_context* context, struct reply* reply, const void* data,
                const void* end) {
  reply->flags = TRAP_TCP_SYN | TRAP_TCP_ACK;
  return serves(context) ? compose_served(context, reply, data, end)
                         : compose_trap_cookie(context, reply);
}
