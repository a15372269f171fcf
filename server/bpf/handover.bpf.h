/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A completed handshake on its way up: XDP has checked the cookie and describes the connection; at
 * tc the stack gets a request socket for it, as if it had answered the SYN itself (Linux 6.9). */
#pragma once

#include "dataplane/syn_options.h"
#include "server/bpf/kernel_cookie.bpf.h"
#include "server/bpf/packet_context.bpf.h"
#include "server/handover.h"
#include "server/served_cookie.h"

#define TRAP_MSS_LEAST_V6 1220 /* less would be refused: 1280 (RFC 8200 5) - 60 */

/* Describes the connection by its completing ACK and the cookie in it. */
static __always_inline void describe_handover(const struct packet_context* context,
                                              struct trap_handover* handover, const void* data,
                                              const void* end) {
  __u32 mss =
      trap_served_mss(trap_served_cookie_mss_index(TRAP_FROM_BE32(context->packet.ack) - 1));
  struct trap_syn_options options;
  __u32 stamp;

  trap_read_syn_options(&options, trap_l4(&context->packet, data), end,
                        context->packet.header_bytes);
  stamp = TRAP_FROM_BE32(options.echo);
  handover->mark = TRAP_HANDOVER_MARK;
  handover->mss =
      context->packet.family == TRAP_IPV6 && mss < TRAP_MSS_LEAST_V6 ? TRAP_MSS_LEAST_V6 : mss;
  if (!options.has_timestamps || !(context->flags & TRAP_SERVICE_TIMESTAMPS))
    return;
  handover->flags = TRAP_HANDOVER_TIMESTAMPS;
  handover->timestamp = TRAP_FROM_BE32(options.timestamp);
  handover->echo = stamp;
  if ((stamp & TRAP_COOKIE_SACK) && (context->flags & TRAP_SERVICE_SACK))
    handover->flags |= TRAP_HANDOVER_SACK;
  if ((stamp & TRAP_COOKIE_NO_WINDOW_SCALE) == TRAP_COOKIE_NO_WINDOW_SCALE ||
      !(context->flags & TRAP_SERVICE_SCALES))
    return;
  handover->flags |= TRAP_HANDOVER_SCALES;
  handover->client_window_scale = stamp & TRAP_COOKIE_NO_WINDOW_SCALE;
  handover->server_window_scale = context->service->window_scale;
}

/* Puts the handover in front of the packet. 0 on success; the frame stays as it is. */
static __always_inline int hand_over(struct xdp_md* ctx, const struct packet_context* context) {
  struct trap_handover handover = {};
  struct trap_handover* at;

  describe_handover(context, &handover, (const void*)(long)ctx->data,
                    (const void*)(long)ctx->data_end);
  if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(handover)))
    return -1;
  at = (void*)(long)ctx->data_meta;
  if ((const void*)(at + 1) > (const void*)(long)ctx->data)
    return -1;
  *at = handover;
  return 0;
}
