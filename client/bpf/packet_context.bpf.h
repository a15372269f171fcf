/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet on its walk through a program of trap-client, and the tc action that a verdict becomes.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "client/bpf/maps.bpf.h"
#include "dataplane/bpf/clock.bpf.h"
#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/options.h"
#include "dataplane/packet.h"
#include "dataplane/segment.h"

/* A function with a stack frame of its own: only the frames of one chain of calls share the 512
 * bytes of a BPF stack, whereas everything inlined into a function shares its frame. */
#define TRAP_SUBPROGRAM __attribute__((noinline))

/* The first header of an interface's packets. */
enum trap_framing {
  TRAP_FRAMING_ETHERNET,
  TRAP_FRAMING_IP,
};

struct packet_context {
  struct trap_packet packet;
  enum trap_framing framing;
  enum trap_side side;
  int action; /* of tc, for a packet that passes or replies; TC_ACT_UNSPEC lets other tc programs
                 see it too */
};

/* Headers must lie in the linear part of the buffer, as the stack and most drivers put them. */
static __always_inline void pull_headers(struct __sk_buff* skb) {
  __u32 wanted = ETH_HLEN + 40 + 60;
  __u64 linear = (__u64)skb->data_end - (__u64)skb->data;

  if (linear < ETH_HLEN + 40 && linear < skb->len)
    bpf_skb_pull_data(skb, skb->len < wanted ? skb->len : wanted);
}

static __always_inline struct trap_tuple outgoing_tuple(const struct trap_packet* packet,
                                                        enum trap_side side) {
  struct trap_tuple tuple = {.local = packet->source,
                             .remote = packet->destination,
                             .local_port = packet->source_port,
                             .remote_port = packet->destination_port,
                             .side = side};
  return tuple;
}

static __always_inline struct trap_tuple incoming_tuple(const struct trap_packet* packet,
                                                        enum trap_side side) {
  struct trap_tuple tuple = {.local = packet->destination,
                             .remote = packet->source,
                             .local_port = packet->destination_port,
                             .remote_port = packet->source_port,
                             .side = side};
  return tuple;
}

static __always_inline TRAP_MUST_USE int tc_action(const struct packet_context* context,
                                                   enum trap_verdict verdict) {
  switch (trap_verdict_action(verdict)) {
  case TRAP_ACTION_PASS:
  case TRAP_ACTION_REPLY:
    return context->action;
  default:
    return TC_ACT_SHOT;
  }
}
