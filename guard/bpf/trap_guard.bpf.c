/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-guard at XDP on the service's host: lets in whom a TRAP server has verified, and nobody else.
 * The walk: read the frame, is the port protected, judge (guard/bpf/admit.h, guard/bpf/flow.h), remember the flow, count.
 * docs/packet-walk.md follows it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/bpf/clock.h"
#include "dataplane/packet.h"
#include "dataplane/segment.h"

#define TRAP_COUNTER_SERVICES TRAP_GUARD_MAX_SERVICES
#include "guard/maps.h"

#include "dataplane/bpf/count.h"
#include "guard/bpf/admit.h"
#include "guard/bpf/flow.h"
#include "guard/bpf/maps.bpf.h"

static __always_inline __u32 service_slot_of(const struct trap_packet* packet) {
  __u32 port = TRAP_FROM_BE16(packet->destination_port);
  const __u32* slot = bpf_map_lookup_elem(&ports, &port);

  return slot ? *slot : 0;
}

static __always_inline int is_trap_server(union trap_address source) {
  return bpf_map_lookup_elem(&trap_servers, &source) != NULL;
}

static __always_inline enum trap_verdict judge_rst(struct xdp_md* ctx, const struct encounter* e, const void* tcp, const void* end) {
  enum trap_verdict verdict = TRAP_PASS_OTHER; /* stands for: no announcement */

  if (!(e->packet.flags & TRAP_TCP_ACK) && is_trap_server(e->packet.source))
    verdict = judge_rst_from_trap_server(e, tcp, end, TRAP_PASS_OTHER);
  return verdict == TRAP_PASS_OTHER ? judge_flow(ctx, e) : verdict;
}

static __always_inline enum trap_verdict judge_segment(struct xdp_md* ctx, const struct encounter* e, const void* data, const void* end) {
  const void* tcp = data + e->packet.l4_offset;

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

/* Service and clock for a packet to a protected port. 0 if a map that always has them has not. */
static __always_inline int prepare(struct encounter* e, __u32 slot) {
  const struct trap_guard_service* service = bpf_map_lookup_elem(&services, &slot);
  __u32 zero = 0;

  e->settings = bpf_map_lookup_elem(&settings, &zero);
  if (!service || !e->settings)
    return 0;
  e->service = *service;
  e->monotonic_ns = coarse_ns();
  e->now = trap_time_at(&e->settings->clock, e->monotonic_ns);
  return 1;
}

SEC("xdp.frags")
int trap_guard(struct xdp_md* ctx) {
  const void* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  struct encounter e = {};
  enum trap_layer layer = trap_read_frame(&e.packet, data, end);
  enum trap_verdict verdict = TRAP_PASS_OTHER;
  __u32 slot = 0;

  if (layer != TRAP_LAYER_OTHER) {
    slot = service_slot_of(&e.packet);
    if (layer == TRAP_LAYER_DEFECTIVE) /* without ports nobody can say that it is not for a protected one */
      verdict = slot || !e.packet.has_ports ? e.packet.defect : TRAP_PASS_OTHER;
    else if (slot)
      verdict = prepare(&e, slot) ? judge_segment(ctx, &e, data, end) : TRAP_DROP_INTERNAL;
  }
  if (verdict == TRAP_PASS_TICKET || verdict == TRAP_PASS_ANNOUNCED || verdict == TRAP_PASS_TRUSTED || verdict == TRAP_PASS_SOCKET)
    remember_flow(&e);
  count(slot, verdict, trap_frame_bytes(&e.packet, data, end), 0);
  return xdp_action(verdict);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
