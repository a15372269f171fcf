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

enum cookie {
  COOKIE_RIGHT,
  COOKIE_WRONG,
  COOKIE_WITHOUT_KEY, /* of an epoch whose key is not held */
};

/* Does the ACK complete a handshake that TRAP's own cookie began? One hash decides. */
static __always_inline TRAP_MUST_USE enum cookie
check_trap_cookie(const struct packet_context* context) {
  __u32 cookie = TRAP_FROM_BE32(context->packet.ack) - 1;
  __u32 window = trap_cookie_window_of(cookie, trap_cookie_window(context->now.unix_ns));
  struct trap_connection connection =
      connection_of(&context->packet, TRAP_BE32(TRAP_FROM_BE32(context->packet.seq) - 1));
  struct trap_key key;

  if (!trap_keyring_find(&context->settings->cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT,
                         &key))
    return COOKIE_WITHOUT_KEY;
  return trap_cookie(&key, &connection, window) == cookie ? COOKIE_RIGHT : COOKIE_WRONG;
}

/* The same for a cookie that the tc program turns into a socket. */
static __always_inline TRAP_MUST_USE enum cookie
check_served_cookie(struct packet_context* context) {
  __u32 cookie = TRAP_FROM_BE32(context->packet.ack) - 1;
  __u32 window = trap_cookie_window_of(cookie, trap_cookie_window(context->now.unix_ns));
  struct trap_connection connection =
      connection_of(&context->packet, TRAP_BE32(TRAP_FROM_BE32(context->packet.seq) - 1));
  __u32 options = trap_served_cookie_options(cookie);
  struct trap_key key;
  __u32 right;

  if (!trap_keyring_find(&context->settings->cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT,
                         &key))
    return COOKIE_WITHOUT_KEY;
  right = trap_served_cookie(&key, &connection, window, trap_served_cookie_mss_index(cookie));
  if (right == cookie)
    return COOKIE_RIGHT;
  if (trap_served_cookie_with(right, options) != cookie)
    return COOKIE_WRONG;
  context->flags |= TRAP_COOKIE_SAYS_OPTIONS;
  return COOKIE_RIGHT;
}

static __always_inline TRAP_MUST_USE enum cookie check_cookie(struct packet_context* context,
                                                              const void* data, const void* end) {
  enum cookie cookie;

  if (!serves(context))
    return check_trap_cookie(context);
  if (context->flags & TRAP_SERVICE_ASSIGNS) {
    cookie = check_served_cookie(context);
    if (cookie == COOKIE_RIGHT || !(context->flags & TRAP_SERVICE_STACK_COOKIES))
      return cookie;
    context->flags &= ~TRAP_SERVICE_ASSIGNS; /* the stack needs no help with a cookie of its own */
  }
  return kernel_cookie_is_right(context, data, end) ? COOKIE_RIGHT : COOKIE_WRONG;
}

/* Redirects the client that completes a handshake, or serves it if the service serves and the
 * client did not ACCEPT. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_completion(struct packet_context* context, const void* data, const void* end,
                 enum trap_socket socket) {
  struct trap_option_area area;
  struct trap_option option =
      trap_find_option(&area, trap_l4(&context->packet, data), end, context->packet.header_bytes,
                       context->packet.family);
  enum trap_verdict verdict;

  if (option.defect != TRAP_OPTIONS_SOUND)
    return trap_verdict_of_options(option.defect);
  if (!policy_allows(context))
    return TRAP_DROP_DENIED;
  if (!serves(context) || (option.type == TRAP_ACCEPT && offers(context)))
    return judge_budgets(context, TRAP_REPLY_REDIRECT);
  if (socket != TRAP_SOCKET_LISTENS)
    return TRAP_DROP_NO_LISTENER;
  verdict = judge_budgets(context, TRAP_PASS_COOKIE);
  if (verdict == TRAP_PASS_COOKIE)
    note_connection(context);
  return verdict;
}

/* A segment that can neither begin a connection nor complete a handshake, by its flags as a whole.
 */
static __always_inline TRAP_MUST_USE enum trap_verdict refuse_by_flags(enum trap_segment kind) {
  switch (kind) {
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
