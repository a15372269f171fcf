/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-guard on the service's host: lets in only clients that a TRAP server has verified. The walk
 * at XDP: read the frame, look up the port, judge (admit.bpf.h for SYNs and announcements,
 * segment.bpf.h for flows, icmp.bpf.h), count. At tc, egress: answer.bpf.h. docs/packet-walk.md
 * follows both. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/packet.h"
#include "dataplane/segment.h"
#include "guard/maps.h"

#define TRAP_COUNTER_SERVICES TRAP_GUARD_MAX_SERVICES
#include "dataplane/bpf/capture.bpf.h"
#include "dataplane/bpf/count.bpf.h"
#include "guard/bpf/admit.bpf.h"
#include "guard/bpf/answer.bpf.h"
#include "guard/bpf/icmp.bpf.h"
#include "guard/bpf/monitor.bpf.h"
#include "guard/bpf/segment.bpf.h"

static __always_inline int is_trap_server(union trap_address source) {
  return bpf_map_lookup_elem(&trap_servers, &source) != NULL;
}

static __always_inline TRAP_MUST_USE enum trap_verdict
judge_rst(struct xdp_md* ctx, const struct packet_context* context, const void* tcp,
          const void* end) {
  if (!(context->packet.flags & TRAP_TCP_ACK) && is_trap_server(context->packet.source)) {
    struct announcement announcement;
    enum trap_verdict verdict = find_announcement(context, tcp, end, &announcement);

    if (verdict == TRAP_ANNOUNCE_ACCEPTED)
      return judge_announcement(context, &announcement);
    if (verdict != TRAP_PASS_FLOW)
      return verdict;
  }
  return judge_flow(ctx, context);
}

static __always_inline TRAP_MUST_USE enum trap_verdict
judge_segment(struct xdp_md* ctx, const struct packet_context* context, const void* data,
              const void* end) {
  const void* tcp = trap_l4(&context->packet, data);

  if (is_shut(context))
    return TRAP_DROP_NO_KEY;
  switch (trap_segment_kind(context->packet.flags)) {
  case TRAP_SEGMENT_SYN:
    return judge_syn(ctx, context, tcp, end);
  case TRAP_SEGMENT_RST:
    return judge_rst(ctx, context, tcp, end);
  case TRAP_SEGMENT_ACK:
  case TRAP_SEGMENT_FIN:
  case TRAP_SEGMENT_SYN_ACK:
    return judge_flow(ctx, context);
  case TRAP_SEGMENT_NULL:
    return TRAP_DROP_NULL;
  default:
    return TRAP_DROP_BAD_FLAGS;
  }
}

/* TCP, well-formed or not. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_tcp(struct xdp_md* ctx, struct packet_context* context, enum trap_layer layer,
          const void* data, const void* end) {
  __u32 number = TRAP_FROM_BE16(context->packet.destination_port);
  const struct trap_guard_port* port = bpf_map_lookup_elem(&ports, &number);

  if (!port)
    return TRAP_DROP_INTERNAL;
  context->port = *port;
  if (layer == TRAP_LAYER_DEFECTIVE) /* without ports it may be for a protected one */
    return context->port.slot || !context->packet.has_ports ? context->packet.defect
                                                            : TRAP_PASS_OTHER;
  if (!context->port.slot)
    return TRAP_PASS_OTHER;
  return prepare(context) ? judge_segment(ctx, context, data, end) : TRAP_DROP_INTERNAL;
}

/* A packet that arrives. `link_bytes`: TRAP_LINK_ETHERNET or TRAP_LINK_NONE. */
static __always_inline int look_at_arriving(struct xdp_md* ctx, __u32 link_bytes) {
  const void* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  struct packet_context context;
  enum trap_layer layer;
  enum trap_verdict verdict;
  __u32 bytes, slot = 0;

  trap_start_packet(&context.packet);
  context.settings = NULL;
  layer = link_bytes == TRAP_LINK_NONE ? trap_read_ip(&context.packet, data, end)
                                       : trap_read_frame(&context.packet, data, end);
  if (layer == TRAP_LAYER_OTHER) {
    verdict = judge_other(ctx, context.packet.l3_offset,
                          family_of_other(ctx, context.packet.l3_offset), &slot);
    if (verdict == TRAP_DROP_FRAGMENT)
      verdict = judge_unreadable(ctx, context.packet.l3_offset);
  } else {
    context.port.slot = 0;
    verdict = judge_tcp(ctx, &context, layer, data, end);
    slot = context.port.slot;
  }
  if (explaining)
    return explain(slot, verdict);
  /* Only now: the stack has no room to keep it. */
  bytes = trap_frame_bytes(&context.packet, (const void*)(long)ctx->data,
                           (const void*)(long)ctx->data_end);
  if (trap_verdict_action(verdict) == TRAP_ACTION_DROP && !is_enforced(context.settings)) {
    count_monitored(slot, verdict, bytes);
    name_suspect(&context.packet, slot, verdict);
    if (trap_segment_kind(context.packet.flags) == TRAP_SEGMENT_SYN) {
      struct trap_flow_key key = flow_key_of(&context.packet);

      withdraw_consent(&key);
    }
    if (is_capturing())
      capture_frame(ctx,
                    sample_of(slot, verdict, captured_at(link_bytes) | TRAP_CAPTURED_MONITORED));
    return XDP_PASS;
  }
  count(slot, verdict, bytes, 0);
  if (is_capturing())
    capture_frame(ctx, sample_of(slot, verdict, captured_at(link_bytes)));
  return xdp_action(verdict);
}

SEC("xdp.frags")
int trap_guard(struct xdp_md* ctx) {
  return look_at_arriving(ctx, TRAP_LINK_ETHERNET);
}

/* The same for interfaces whose packets begin with the IP header. Loaded where there is one. */
SEC("?xdp.frags")
int trap_guard_ip(struct xdp_md* ctx) {
  return look_at_arriving(ctx, TRAP_LINK_NONE);
}

SEC("tc")
int trap_guard_egress(struct __sk_buff* skb) {
  return look_at_leaving(skb, TRAP_LINK_ETHERNET);
}

/* The same for interfaces whose packets begin with the IP header. */
SEC("tc")
int trap_guard_egress_ip(struct __sk_buff* skb) {
  return look_at_leaving(skb, TRAP_LINK_NONE);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
