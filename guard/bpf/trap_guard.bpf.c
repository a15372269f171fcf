/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-guard at XDP on the service's host: lets in whom a TRAP server has verified, and nobody
 * else. The walk: read the frame, is the port protected, judge (guard/bpf/admit.bpf.h for SYNs and
 * announcements, budget.h for flows, icmp.h), count. docs/packet-walk.md follows it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/packet.h"
#include "dataplane/segment.h"
#include "guard/maps.h"

#define TRAP_COUNTER_SERVICES TRAP_GUARD_MAX_SERVICES
#include "dataplane/bpf/count.bpf.h"
#include "guard/bpf/admit.bpf.h"
#include "guard/bpf/icmp.bpf.h"
#include "guard/bpf/monitor.bpf.h"

static __always_inline int is_trap_server(union trap_address source) {
  return bpf_map_lookup_elem(&trap_servers, &source) != NULL;
}

static __always_inline enum trap_verdict
judge_rst(struct xdp_md* ctx, const struct packet_context* e, const void* tcp, const void* end) {
  enum trap_verdict verdict = TRAP_PASS_OTHER; /* stands for: no announcement */

  if (!(e->packet.flags & TRAP_TCP_ACK) && is_trap_server(e->packet.source))
    verdict = judge_rst_from_trap_server(e, tcp, end, TRAP_PASS_OTHER);
  return verdict == TRAP_PASS_OTHER ? judge_flow(ctx, e) : verdict;
}

static __always_inline enum trap_verdict judge_segment(struct xdp_md* ctx,
                                                       const struct packet_context* e,
                                                       const void* data, const void* end) {
  const void* tcp = trap_l4(&e->packet, data);

  if (is_shut(e))
    return TRAP_DROP_NO_KEY;
  switch (trap_segment_kind(e->packet.flags)) {
  case TRAP_SEGMENT_SYN:
    return judge_syn(e, tcp, end);
  case TRAP_SEGMENT_RST:
    return judge_rst(ctx, e, tcp, end);
  case TRAP_SEGMENT_ACK:
  case TRAP_SEGMENT_FIN:
  case TRAP_SEGMENT_SYN_ACK:
    return judge_flow(ctx, e);
  case TRAP_SEGMENT_NULL:
    return TRAP_DROP_NULL;
  default:
    return TRAP_DROP_BAD_FLAGS;
  }
}

/* TCP, well-formed or not. */
static __always_inline enum trap_verdict judge_tcp(struct xdp_md* ctx, struct packet_context* e,
                                                   enum trap_layer layer, const void* data,
                                                   const void* end) {
  __u32 number = TRAP_FROM_BE16(e->packet.destination_port);
  const struct trap_guard_port* port = bpf_map_lookup_elem(&ports, &number);

  if (!port)
    return TRAP_DROP_INTERNAL;
  e->port = *port;
  if (layer ==
      TRAP_LAYER_DEFECTIVE) /* without ports nobody can say that it is not for a protected one */
    return e->port.slot || !e->packet.has_ports ? e->packet.defect : TRAP_PASS_OTHER;
  if (!e->port.slot)
    return TRAP_PASS_OTHER;
  return prepare(e) ? judge_segment(ctx, e, data, end) : TRAP_DROP_INTERNAL;
}

SEC("xdp.frags")
int trap_guard(struct xdp_md* ctx) {
  const void* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  struct packet_context e;
  enum trap_layer layer;
  enum trap_verdict verdict;
  __u32 bytes, slot;

  trap_start_packet(&e.packet);
  e.settings = NULL;
  layer = trap_read_frame(&e.packet, data, end);
  bytes = trap_frame_bytes(&e.packet, data, end);
  if (layer == TRAP_LAYER_OTHER) {
    int judged = judge_other(ctx, e.packet.l3_offset);

    verdict = judged & 0xff;
    slot = judged >> 16 & 0xff;
  } else {
    e.port.slot = 0;
    verdict = judge_tcp(ctx, &e, layer, data, end);
    slot = e.port.slot;
  }
  if (explaining)
    return explain(slot, verdict);
  if (trap_verdict_action(verdict) == TRAP_ACTION_DROP && !is_enforced(e.settings)) {
    count_monitored(slot, verdict, bytes);
    name_suspect(&e.packet, slot, verdict);
    return XDP_PASS;
  }
  count(slot, verdict, bytes, 0);
  return xdp_action(verdict);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
