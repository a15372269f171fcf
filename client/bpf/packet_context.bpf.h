/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What both of the client's programs know of a packet on its walk, and how a verdict becomes a tc
 * action. */
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

/* A function with a frame of its own: the 512 bytes of a BPF stack are for those of one chain of
 * calls, not for everything inlined into one function. */
#define TRAP_SUBPROGRAM __attribute__((noinline))

/* What an interface's packets begin with. */
enum trap_link {
  TRAP_LINK_ETHERNET,
  TRAP_LINK_IP,
};

struct packet_context {
  struct trap_packet packet;
  enum trap_link link;
  enum trap_side side;
  int action; /* what tc does with a packet that passes or replies; TC_ACT_UNSPEC lets other tc
                 programs see it too */
};

/* Headers must lie in the linear part of the buffer: they do for what the stack sends, and for what
 * most drivers deliver. */
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

static __always_inline int tc_action(const struct packet_context* e, enum trap_verdict verdict) {
  switch (trap_verdict_action(verdict)) {
  case TRAP_ACTION_PASS:
  case TRAP_ACTION_REPLY:
    return e->action;
  default:
    return TC_ACT_SHOT;
  }
}
