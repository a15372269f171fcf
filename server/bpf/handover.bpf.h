/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A completed handshake on its way up: the program that has checked the cookie describes the
 * connection; at tc the stack gets a request socket for it, as if it had answered the SYN itself
 * (Linux 6.9). */
#pragma once

#include "dataplane/syn_options.h"
#include "server/bpf/kernel_cookie.bpf.h"
#include "server/bpf/packet_context.bpf.h"
#include "server/bpf/recent_handovers.bpf.h"
#include "server/handover.h"
#include "server/served_cookie.h"

#define TRAP_MSS_LEAST_V6 1220 /* less would be refused: 1280 (RFC 8200 5) - 60 */

/* The options of a client without timestamps, as far as the stack still has them. */
static __always_inline void describe_plain_options(const struct packet_context* context,
                                                   struct trap_handover* handover) {
  __u32 options = trap_served_cookie_options(TRAP_FROM_BE32(context->packet.ack) - 1);

  if (context->flags & TRAP_SERVICE_SACK)
    handover->flags |= TRAP_HANDOVER_SACK;
  if (options == TRAP_PLAIN_SACK || !(context->flags & TRAP_SERVICE_SCALES))
    return;
  handover->flags |= TRAP_HANDOVER_SCALES;
  handover->window_scales =
      (__u8)(trap_served_plain_scale(options) | context->service->window_scale << 4);
}

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
  handover->mss =
      context->packet.family == TRAP_IPV6 && mss < TRAP_MSS_LEAST_V6 ? TRAP_MSS_LEAST_V6 : mss;
  if (context->flags & TRAP_COOKIE_SAYS_OPTIONS) {
    describe_plain_options(context, handover);
    return;
  }
  if (!options.has_timestamps || !(context->flags & TRAP_SERVICE_TIMESTAMPS))
    return;
  handover->flags = TRAP_HANDOVER_TIMESTAMPS;
  handover->timestamp = TRAP_FROM_BE32(options.timestamp);
  /* the stack takes what has passed since the client's echo for the round trip */
  handover->echo = stamp + trap_served_elapsed_ms(stamp >> TRAP_COOKIE_TIMESTAMP_BITS,
                                                  trap_served_ticks(context->now.unix_ns));
  if ((stamp & TRAP_COOKIE_SACK) && (context->flags & TRAP_SERVICE_SACK))
    handover->flags |= TRAP_HANDOVER_SACK;
  if ((stamp & TRAP_COOKIE_ECN) && (context->flags & TRAP_SERVICE_ECN))
    handover->flags |= TRAP_HANDOVER_ECN;
  if ((stamp & TRAP_COOKIE_NO_WINDOW_SCALE) == TRAP_COOKIE_NO_WINDOW_SCALE ||
      !(context->flags & TRAP_SERVICE_SCALES))
    return;
  handover->flags |= TRAP_HANDOVER_SCALES;
  handover->window_scales =
      (__u8)((stamp & TRAP_COOKIE_NO_WINDOW_SCALE) | context->service->window_scale << 4);
}

/* Puts the handover in front of the packet, where the stack needs it. 0 on success; the frame stays
 * as it is. */
static __always_inline int hand_over(struct xdp_md* ctx, const struct packet_context* context,
                                     enum trap_verdict verdict) {
  struct trap_handover handover = {.mark = TRAP_HANDOVER_MARK, .slot = (__u16)context->slot};
  __u8* metadata;

  if (verdict == TRAP_PASS_COOKIE) {
    note_handover(context);
    watch_handover(ctx, &context->packet, context->slot, context->monotonic_ns,
                   context->flags & TRAP_SERVICE_ASSIGNS ? 0 : TRAP_WATCHED_KERNELS);
  }
  if (!(context->flags & TRAP_SERVICE_ASSIGNS))
    return 0; /* the cookie is the kernel's */
  if (verdict == TRAP_PASS_COOKIE)
    describe_handover(context, &handover, (const void*)(long)ctx->data,
                      (const void*)(long)ctx->data_end);
  else
    handover.flags = TRAP_HANDOVER_FOLLOWS;
  if (bpf_xdp_adjust_meta(ctx, -TRAP_HANDOVER_METADATA_BYTES))
    return -1;
  metadata = (void*)(long)ctx->data_meta;
  if ((const void*)(metadata + TRAP_HANDOVER_METADATA_BYTES) > (const void*)(long)ctx->data)
    return -1;
  *(struct trap_handover*)(metadata + TRAP_HANDOVER_AT) = handover;
  if (verdict == TRAP_PASS_COOKIE)
    count_handed_over(context->slot);
  return 0;
}
