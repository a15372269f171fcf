/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's own SYN cookies, for services that a listener of this host serves: the stack accepts
 * the completing ACK as if it had sent the SYN-ACK itself. */
#pragma once

#include "dataplane/syn_options.h"
#include "server/bpf/packet_context.bpf.h"
#include "server/served_cookie.h"

/* The part of a SYN that its cookie depends on: the kernel reads ports, ISN and MSS. */
struct bare_syn {
  struct trap_tcp tcp;
  __u8 mss_kind;
  __u8 mss_length;
  __be16 mss;
};

#define TRAP_MSS_DEFAULT 536 /* RFC 9293 3.7.1 */

/* Writes the sequence number of the SYN-ACK, in host byte order, to *cookie. 0 on success. These
 * helpers make and check cookies whatever net.ipv4.tcp_syncookies is; the daemon watches whether
 * the stack accepts them. */
static __always_inline TRAP_MUST_USE int make_kernel_cookie(const struct packet_context* context,
                                                            const struct trap_syn_options* syn,
                                                            const void* data, const void* end,
                                                            __u32* cookie) {
  struct bare_syn bare = {
      .tcp =
          {
              .source_port = context->packet.source_port,
              .destination_port = context->packet.destination_port,
              .seq = context->packet.seq,
              .data_offset = sizeof(struct bare_syn) / 4 << 4,
              .flags = TRAP_TCP_SYN,
          },
      .mss_kind = TRAP_TCPOPT_MSS,
      .mss_length = 4,
      .mss = syn->has_mss ? TRAP_BE16(syn->mss) : TRAP_BE16(TRAP_MSS_DEFAULT),
  };
  const void* l3 = trap_l3(&context->packet, data);
  __s64 made;

  if (context->packet.family == TRAP_IPV4) {
    if (l3 + sizeof(struct iphdr) > end)
      return -1;
    made = bpf_tcp_raw_gen_syncookie_ipv4((void*)l3, (void*)&bare, sizeof(bare));
  } else {
    if (l3 + sizeof(struct ipv6hdr) > end)
      return -1;
    made = bpf_tcp_raw_gen_syncookie_ipv6((void*)l3, (void*)&bare, sizeof(bare));
  }
  *cookie = (__u32)made;
  return made < 0;
}

/* Does the ACK complete a handshake that a kernel cookie began, here or in the stack? */
static __always_inline TRAP_MUST_USE int
kernel_cookie_is_right(const struct packet_context* context, const void* data, const void* end) {
  const void* l3 = trap_l3(&context->packet, data);
  const void* tcp = trap_l4(&context->packet, data);

  if (tcp + sizeof(struct trap_tcp) > end)
    return 0;
  if (context->packet.family == TRAP_IPV4)
    return l3 + sizeof(struct iphdr) <= end &&
           bpf_tcp_raw_check_syncookie_ipv4((void*)l3, (void*)tcp) == 0;
  return l3 + sizeof(struct ipv6hdr) <= end &&
         bpf_tcp_raw_check_syncookie_ipv6((void*)l3, (void*)tcp) == 0;
}

/* The bits of a timestamp that cookie_timestamp_decode of net/ipv4/syncookies.c reads. */
#define TRAP_COOKIE_TIMESTAMP_BITS 6
#define TRAP_COOKIE_NO_WINDOW_SCALE 15u
#define TRAP_COOKIE_SACK 16u
#define TRAP_COOKIE_ECN 32u

#define TRAP_ECN_SETUP (TRAP_TCP_ECE | TRAP_TCP_CWR) /* of a SYN (RFC 3168 6.1.1) */

static __always_inline int accepts_ecn(const struct packet_context* context,
                                       const struct trap_syn_options* syn) {
  return (context->packet.flags & TRAP_ECN_SETUP) == TRAP_ECN_SETUP && syn->has_timestamps &&
         (context->flags & TRAP_SERVICE_ECN);
}

/* The client's options as the timestamp says them. */
static __always_inline __u32 cookie_options(const struct packet_context* context,
                                            const struct trap_syn_options* syn) {
  __u32 bits = syn->has_window_scale && (context->flags & TRAP_SERVICE_SCALES)
                   ? syn->window_scale
                   : TRAP_COOKIE_NO_WINDOW_SCALE;

  if (syn->sack && (context->flags & TRAP_SERVICE_SACK))
    bits |= TRAP_COOKIE_SACK;
  return accepts_ecn(context, syn) ? bits | TRAP_COOKIE_ECN : bits;
}

/* TSval of a SYN-ACK with a cookie of the kernel, as cookie_init_timestamp makes it: the stack's
 * clock of milliseconds with the options in its low bits, never ahead of it, because later segments
 * must not seem older (RFC 7323 5). */
static __always_inline __u32 kernel_cookie_timestamp(__u32 options) {
  __u64 now_ms = coarse_ms();
  __u64 low = (1 << TRAP_COOKIE_TIMESTAMP_BITS) - 1;
  __u64 stamp = (now_ms & ~low) | options;

  return (__u32)(stamp > now_ms ? stamp - low - 1 : stamp);
}

/* TSval of a SYN-ACK with a cookie of TRAP's: the time above the options, so that the ACK says how
 * long the way was. The stack's clock goes on from there. */
static __always_inline __u32 cookie_timestamp(const struct packet_context* context,
                                              const struct trap_syn_options* syn) {
  __u32 options = cookie_options(context, syn);

  if (!(context->flags & TRAP_SERVICE_ASSIGNS))
    return kernel_cookie_timestamp(options);
  return trap_served_ticks(context->now.unix_ns) << TRAP_COOKIE_TIMESTAMP_BITS | options;
}
