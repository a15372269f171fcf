/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-client at tc: takes connections of this host, and of hosts behind it, to the service that a
 * TRAP server names, unseen by applications. The walk: hook (client/bpf/hook.bpf.h), outward
 * (client/bpf/egress.bpf.h) or inward (client/bpf/ingress.bpf.h), count. docs/packet-walk.md
 * follows it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "client/bpf/packet_context.bpf.h"

#define TRAP_COUNTER_SERVICES 1
#include "client/bpf/egress.bpf.h"
#include "client/bpf/hook.bpf.h"
#include "client/bpf/ingress.bpf.h"
#include "dataplane/bpf/capture.bpf.h"
#include "dataplane/bpf/count.bpf.h"

static __always_inline int conclude(struct __sk_buff* skb, const struct packet_context* context,
                                    enum trap_verdict verdict, __u32 captured_as) {
  if (explaining)
    return explain(0, verdict);
  count(0, verdict, skb->len, 0);
  if (is_capturing())
    capture_packet(skb, sample_of(0, verdict, captured_as));
  return tc_action(context, verdict);
}

/* A host's packets to a service leave it; a LAN's come in. */
static __always_inline __u32 captured_as(enum trap_framing framing, int leaves) {
  return (leaves ? TRAP_CAPTURED_LEAVES : 0) |
         (framing == TRAP_FRAMING_IP ? TRAP_CAPTURED_AT_IP : 0);
}

/* From a client to a service. */
static __always_inline int walk_outward(struct __sk_buff* skb, enum trap_framing framing,
                                        enum trap_side side) {
  struct packet_context* context = begin_packet(framing, side);

  const __u32 as = captured_as(framing, side == TRAP_SIDE_HOST);

  if (!context)
    return TC_ACT_UNSPEC;
  if (is_passing_by(skb, context) && !is_forwarded(skb, context))
    return conclude(skb, context, TRAP_PASS_OTHER, as);
  return conclude(skb, context, judge_outgoing(skb, context, is_passing_by(skb, context)), as);
}

/* From a service to a client. */
static __always_inline int walk_inward(struct __sk_buff* skb, enum trap_framing framing,
                                       enum trap_side side) {
  struct packet_context* context = begin_packet(framing, side);

  if (!context)
    return TC_ACT_UNSPEC;
  return conclude(skb, context,
                  is_of_vlan(skb, context) || is_to_group(skb, context)
                      ? TRAP_PASS_OTHER
                      : judge_incoming(skb, context),
                  captured_as(framing, side == TRAP_SIDE_LAN));
}

SEC("tc")
int trap_client_egress(struct __sk_buff* skb) {
  return walk_outward(skb, TRAP_FRAMING_ETHERNET, TRAP_SIDE_HOST);
}

SEC("tc")
int trap_client_ingress(struct __sk_buff* skb) {
  return walk_inward(skb, TRAP_FRAMING_ETHERNET, TRAP_SIDE_HOST);
}

SEC("tc")
int trap_client_egress_ip(struct __sk_buff* skb) {
  return walk_outward(skb, TRAP_FRAMING_IP, TRAP_SIDE_HOST);
}

SEC("tc")
int trap_client_ingress_ip(struct __sk_buff* skb) {
  return walk_inward(skb, TRAP_FRAMING_IP, TRAP_SIDE_HOST);
}

/* The clients of a LAN are on the other side: their packets to a service come in. */
SEC("tc")
int trap_client_egress_lan(struct __sk_buff* skb) {
  return walk_inward(skb, TRAP_FRAMING_ETHERNET, TRAP_SIDE_LAN);
}

SEC("tc")
int trap_client_ingress_lan(struct __sk_buff* skb) {
  return walk_outward(skb, TRAP_FRAMING_ETHERNET, TRAP_SIDE_LAN);
}

SEC("tc")
int trap_client_egress_lan_ip(struct __sk_buff* skb) {
  return walk_inward(skb, TRAP_FRAMING_IP, TRAP_SIDE_LAN);
}

SEC("tc")
int trap_client_ingress_lan_ip(struct __sk_buff* skb) {
  return walk_outward(skb, TRAP_FRAMING_IP, TRAP_SIDE_LAN);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
