/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Segments that are not SYNs: those of sockets pass, an ACK that completes a handshake of ours is
 * redirected or goes up to the listener, the rest is dropped. */
#pragma once

#include "dataplane/bpf/socket.bpf.h"
#include "dataplane/options.h"
#include "dataplane/segment.h"
#include "server/bpf/budget.bpf.h"
#include "server/bpf/connection_filter.bpf.h"
#include "server/bpf/kernel_cookie.bpf.h"
#include "server/served_cookie.h"

/* Does the ACK complete a handshake that TRAP's own cookie began? One hash decides. */
static __always_inline enum trap_verdict judge_trap_cookie(const struct packet_context* e) {
  __u32 cookie = TRAP_FROM_BE32(e->packet.ack) - 1;
  __u32 window = trap_cookie_window_of(cookie, trap_cookie_window(e->now.unix_ns));
  struct trap_connection connection =
      connection_of(&e->packet, TRAP_BE32(TRAP_FROM_BE32(e->packet.seq) - 1));
  struct trap_key key;

  if (!trap_keyring_find(&e->settings->cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT, &key))
    return TRAP_DROP_NO_KEY;
  return trap_cookie(&key, &connection, window) == cookie ? TRAP_REPLY_REDIRECT
                                                          : TRAP_DROP_BAD_COOKIE;
}

/* The same for a cookie that the tc program is to make a socket of. */
static __always_inline enum trap_verdict judge_served_cookie(const struct packet_context* e) {
  __u32 cookie = TRAP_FROM_BE32(e->packet.ack) - 1;
  __u32 window = trap_cookie_window_of(cookie, trap_cookie_window(e->now.unix_ns));
  struct trap_connection connection =
      connection_of(&e->packet, TRAP_BE32(TRAP_FROM_BE32(e->packet.seq) - 1));
  struct trap_key key;

  if (!trap_keyring_find(&e->settings->cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT, &key))
    return TRAP_DROP_NO_KEY;
  if (trap_served_cookie(&key, &connection, window, trap_served_cookie_mss_index(cookie)) != cookie)
    return TRAP_DROP_BAD_COOKIE;
  return TRAP_REPLY_REDIRECT;
}

/* TRAP_REPLY_REDIRECT stands for a right cookie. */
static __always_inline enum trap_verdict judge_cookie(struct packet_context* e, const void* data,
                                                      const void* end) {
  enum trap_verdict verdict;

  if (!serves(e))
    return judge_trap_cookie(e);
  if (e->flags & TRAP_SERVICE_ASSIGNS) {
    verdict = judge_served_cookie(e);
    if (verdict == TRAP_REPLY_REDIRECT || !(e->flags & TRAP_SERVICE_STACK_COOKIES))
      return verdict;
    e->flags &=
        ~TRAP_SERVICE_ASSIGNS; /* if it is the stack's own cookie, the stack needs no help */
  }
  return kernel_cookie_is_right(e, data, end) ? TRAP_REPLY_REDIRECT : TRAP_DROP_BAD_COOKIE;
}

/* Who has completed a handshake is redirected, or served if the service does that and he did not
 * ACCEPT. */
static __always_inline enum trap_verdict judge_completion(struct packet_context* e,
                                                          const void* data, const void* end,
                                                          enum trap_socket socket) {
  struct trap_option_area area;
  struct trap_option option = trap_find_option(&area, trap_l4(&e->packet, data), end,
                                               e->packet.header_bytes, e->packet.family);
  enum trap_verdict verdict;

  if (option.defect != TRAP_PASS_OTHER)
    return option.defect;
  if (!policy_allows(e))
    return TRAP_DROP_DENIED;
  if (!serves(e) || (option.type == TRAP_ACCEPT && offers(e)))
    return judge_budgets(e, TRAP_REPLY_REDIRECT);
  if (socket != TRAP_SOCKET_LISTENS)
    return TRAP_DROP_NO_LISTENER;
  verdict = judge_budgets(e, TRAP_PASS_COOKIE);
  if (verdict == TRAP_PASS_COOKIE)
    note_connection(e);
  return verdict;
}

/* What is no SYN and of no connection that the stack is known to have, by its flags as a whole.
 * TRAP_REPLY_REDIRECT stands for an ACK whose cookie is right. */
static __always_inline enum trap_verdict judge_later_segment(struct packet_context* e,
                                                             const void* data, const void* end) {
  switch (trap_segment_kind(e->packet.flags)) {
  case TRAP_SEGMENT_ACK:
    return judge_cookie(e, data, end);
  case TRAP_SEGMENT_RST:
    return TRAP_DROP_RST;
  case TRAP_SEGMENT_FIN:
    return TRAP_DROP_FIN;
  case TRAP_SEGMENT_SYN_ACK:
    return TRAP_DROP_SYN_ACK;
  case TRAP_SEGMENT_NULL:
    return TRAP_DROP_NULL;
  default:
    return TRAP_DROP_BAD_FLAGS;
  }
}
