/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Outgoing packets: SYNs are remembered, or sent to the service that a redirect names; segments of
 * redirected connections are translated. */
#pragma once

#include "client/bpf/fallback.bpf.h"
#include "client/bpf/flow.bpf.h"
#include "client/bpf/hook.bpf.h"
#include "client/bpf/icmp.bpf.h"
#include "client/bpf/scratch.bpf.h"
#include "client/bpf/ticket_option.bpf.h"
#include "dataplane/bpf/socket.bpf.h"

/* Does the kernel reach the backend by another next hop than the public address, whose next hop is
 * at `hop` in the frame? Then each packet needs another link-layer destination. Packets from a LAN
 * are routed after this hook. */
static TRAP_SUBPROGRAM __u8 needs_neighbour(struct __sk_buff* skb,
                                            const struct packet_context* context,
                                            const union trap_address* local,
                                            const union trap_address* backend, enum trap_end hop) {
  struct bpf_fib_lookup route = {.l4_protocol = IPPROTO_TCP, .ifindex = skb->ifindex};
  const struct ethhdr* eth;
  const __u8* mac;
  long found;

  if (context->side == TRAP_SIDE_LAN || context->framing == TRAP_FRAMING_IP)
    return 0;
  if (context->packet.family == TRAP_IPV4) {
    route.family = 2; /* AF_INET */
    route.ipv4_src = local->be32[3];
    route.ipv4_dst = backend->be32[3];
  } else {
    route.family = 10; /* AF_INET6 */
    __builtin_memcpy(route.ipv6_src, local, 16);
    __builtin_memcpy(route.ipv6_dst, backend, 16);
  }
  found = bpf_fib_lookup(skb, &route, sizeof(route), BPF_FIB_LOOKUP_OUTPUT);
  if (found == BPF_FIB_LKUP_RET_NO_NEIGH)
    return 1;
  eth = (const struct ethhdr*)(long)skb->data;
  if (found != BPF_FIB_LKUP_RET_SUCCESS ||
      (const __u8*)(eth + 1) > (const __u8*)(long)skb->data_end)
    return 0;
  mac = hop == TRAP_SOURCE ? eth->h_source : eth->h_dest;
  for (int i = 0; i < ETH_ALEN; i++) {
    if (mac[i] != route.dmac[i])
      return 1;
  }
  return 0;
}

static __always_inline TRAP_MUST_USE enum trap_verdict
translate_outward(struct __sk_buff* skb, struct packet_context* context,
                  const struct trap_outward* outward, enum trap_verdict success) {
  if (replace_end(skb, &context->packet, TRAP_DESTINATION, &outward->backend, outward->port))
    return TRAP_DROP_INTERNAL;
  if (outward->flags & TRAP_FLOW_VIA_NEIGHBOUR)
    context->action = (int)bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
  return success;
}

/* Is this SYN of a connect to carry the ticket? The first two are, unless SYNs were found to get
 * through only without it. */
static __always_inline int is_to_carry_ticket(__u8 syns, int unticketed_first) {
  return unticketed_first ? syns == 2 : syns <= TRAP_SYNS_TICKETED;
}

/* Sends a SYN to the service, with its ticket unless the flow says otherwise; the caller has
 * checked has_room_for_ticket. */
static __always_inline TRAP_MUST_USE enum trap_verdict
send_to_service(struct __sk_buff* skb, struct packet_context* context,
                const struct trap_redirect* redirect, const struct trap_outward* outward) {
  if (outward->flags & TRAP_FLOW_UNTICKETED)
    return translate_outward(skb, context, outward, TRAP_PASS_SYN_UNTICKETED);
  if (append_ticket(skb, &context->packet, redirect))
    return TRAP_DROP_INTERNAL;
  return translate_outward(skb, context, outward, TRAP_PASS_SYN_TICKETED);
}

/* Copies the progress of the connect from its SYN before, if this SYN is a repetition. */
static __always_inline void keep_progress(struct trap_pending* syn,
                                          const struct trap_pending* before) {
  if (!before || before->isn != syn->isn)
    return;
  syn->iss = before->iss;
  syn->accepted_iss[0] = before->accepted_iss[0];
  syn->accepted_iss[1] = before->accepted_iss[1];
  syn->accepts = before->accepts;
  syn->connect = before->connect;
  if (before->state == TRAP_ACCEPT_SENT || before->state == TRAP_SYN_ACK_PASSED)
    syn->state = before->state;
}

/* Remembers this SYN, so that it can be sent again to another place (client/bpf/ingress.bpf.h). If
 * that fails, the application connects as if TRAP were not there. */
static TRAP_SUBPROGRAM int remember_syn(struct __sk_buff* skb, const struct packet_context* context,
                                        const struct trap_tuple* tuple, __u32 state) {
  const struct trap_packet* packet = &context->packet;
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;
  const __u8* ip = trap_l3(packet, data);
  struct trap_pending syn = {.isn = packet->seq, .window = packet->window, .flags = packet->flags};
  struct scratch* memory = find_scratch();

  if (!memory || ip + 9 > (const __u8*)end)
    return 0;
  if (packet->family == TRAP_IPV4) {
    syn.traffic_class = ip[1];
    syn.hop_limit = ip[8];
  } else {
    syn.traffic_class = (__u8)(ip[0] << 4 | ip[1] >> 4);
    syn.hop_limit = ip[7];
  }
  trap_copy_options(&memory->area, trap_l4(packet, data), end, packet->header_bytes,
                    packet->family);
  syn.option_bytes = (__u8)memory->area.used;
  __builtin_memcpy(syn.options, memory->area.bytes, sizeof(syn.options));
  keep_progress(&syn, bpf_map_lookup_elem(&pending, tuple));
  if (state == TRAP_REDIRECTED)
    syn.state = TRAP_REDIRECTED;
  store(&pending, tuple, &syn, BPF_ANY);
  return 0;
}

/* A repeated SYN to the public address: were its ACCEPTs in vain? Then a TRAP server that serves is
 * to serve. */
static __always_inline void note_unanswered(const struct trap_tuple* tuple,
                                            const struct trap_redirect_key* key, __be32 isn) {
  struct trap_pending* syn = bpf_map_lookup_elem(&pending, tuple);

  if (!syn || syn->isn != isn || syn->state != TRAP_ACCEPT_SENT ||
      syn->accepts < TRAP_ACCEPTS_IN_VAIN || syn->connect & TRAP_CONNECT_RESETS)
    return;
  note_fallback(key, TRAP_FALLBACK_SERVED);
}

/* Is this our own SYN (client/bpf/respond.bpf.h) on its way to a service? */
static __always_inline int is_reissued(const struct packet_context* context,
                                       const struct trap_tuple* wire) {
  const struct trap_inward* inward = bpf_map_lookup_elem(&to_public, wire);
  const struct trap_outward* outward;
  struct trap_tuple tuple = *wire;

  if (!inward)
    return 0;
  tuple.remote = inward->service;
  tuple.remote_port = inward->port;
  outward = bpf_map_lookup_elem(&to_backend, &tuple);
  if (outward && outward->isn == context->packet.seq)
    return 1;
  forget(&to_public, wire); /* of an earlier connection from this port */
  return 0;
}

static __always_inline TRAP_MUST_USE enum trap_verdict
judge_redirected_syn(struct __sk_buff* skb, struct packet_context* context,
                     const struct trap_tuple* tuple, const struct trap_redirect_key* key,
                     struct trap_redirect* redirect, struct trap_outward* outward) {
  outward->backend = redirect->backend;
  outward->port = redirect->port;
  if (needs_neighbour(skb, context, &tuple->local, &outward->backend, TRAP_DESTINATION))
    outward->flags = TRAP_FLOW_VIA_NEIGHBOUR;
  if (!is_to_carry_ticket(outward->syns, has_fallback(key, TRAP_FALLBACK_UNTICKETED)) ||
      !has_room_for_ticket(skb, &context->packet, ticket_block_bytes(redirect->flags)))
    outward->flags |= TRAP_FLOW_UNTICKETED;
  if (store_flow(tuple, outward))
    return TRAP_PASS_OTHER;
  if (!explaining)
    redirect->used_ns = coarse_ns();
  remember_syn(skb, context, tuple, TRAP_REDIRECTED);
  return send_to_service(skb, context, redirect, outward);
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_outgoing_syn(struct __sk_buff* skb, struct packet_context* context) {
  struct trap_tuple tuple = outgoing_tuple(&context->packet, context->side);
  struct trap_redirect_key key = redirect_key(&tuple);
  struct trap_outward* known = bpf_map_lookup_elem(&to_backend, &tuple);
  struct trap_redirect* redirect = bpf_map_lookup_elem(&redirects, &key);
  struct trap_outward outward = {.isn = context->packet.seq, .syns = 1};
  enum trap_verdict verdict = TRAP_PASS_SYN_REMEMBERED;

  if (is_reissued(context, &tuple))
    return TRAP_PASS_OTHER;
  forget_in_socket(skb, &tuple);
  if (known && known->isn == outward.isn)
    outward.syns = known->syns < 255 ? known->syns + 1 : 255;
  if (redirect && redirect->until_ns > coarse_ns() && outward.syns <= TRAP_SYNS_TO_SERVICE)
    return judge_redirected_syn(skb, context, &tuple, &key, redirect, &outward);
  if (known && outward.syns > TRAP_SYNS_TO_SERVICE) {
    note_unreachable(&key, &known->backend, known->port);
    forget(&redirects, &key);
    verdict = TRAP_PASS_SYN_GIVEN_UP;
  }
  if (known)
    forget_flow(&tuple, known);
  note_unanswered(&tuple, &key, outward.isn);
  remember_syn(skb, context, &tuple, TRAP_SYN_SENT);
  return verdict;
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_outgoing_segment(struct __sk_buff* skb, struct packet_context* context) {
  struct trap_tuple tuple = outgoing_tuple(&context->packet, context->side);
  struct trap_outward outward;

  if (!find_outward(skb, &context->packet, &tuple, &outward))
    return TRAP_PASS_OTHER;
  return translate_outward(skb, context, &outward, TRAP_PASS_TO_SERVICE);
}

static __always_inline TRAP_MUST_USE enum trap_verdict
judge_outgoing(struct __sk_buff* skb, struct packet_context* context) {
  pull_headers(skb);
  switch (read_packet(skb, context)) {
  case TRAP_LAYER_TCP:
    if (trap_segment_kind(context->packet.flags) == TRAP_SEGMENT_SYN)
      return judge_outgoing_syn(skb, context);
    return may_be_redirected(&context->packet.destination, context->packet.destination_port)
               ? judge_outgoing_segment(skb, context)
               : TRAP_PASS_OTHER;
  case TRAP_LAYER_OTHER:
    return judge_outgoing_icmp(skb, context);
  default:
    return TRAP_PASS_OTHER;
  }
}

/* A forwarded SYN may have, on the wire, the addresses and ports of a connection that this host had
 * to the service: connection tracking knows that connection by the public address, and reuses its
 * port. If that connection is over, its entry would take the answers of the new one, and goes. */
static TRAP_SUBPROGRAM int yield_to_forwarded(struct __sk_buff* skb,
                                              struct packet_context* context) {
  const struct trap_inward* inward;
  const struct trap_outward* outward;
  struct trap_tuple wire, flow;
  enum trap_socket socket;

  pull_headers(skb);
  if (read_packet(skb, context) != TRAP_LAYER_TCP ||
      trap_segment_kind(context->packet.flags) != TRAP_SEGMENT_SYN)
    return 0;
  wire = outgoing_tuple(&context->packet, context->side);
  inward = bpf_map_lookup_elem(&to_public, &wire);
  if (!inward)
    return 0;
  flow = wire;
  flow.remote = inward->service;
  flow.remote_port = inward->port;
  outward = bpf_map_lookup_elem(&to_backend, &flow);
  if (outward && outward->isn == context->packet.seq) /* sent by us (client/bpf/respond.bpf.h),
                                                   perhaps for a knock, which has no socket */
    return 0;
  context->packet.destination = flow.local; /* as in a packet to the socket */
  context->packet.destination_port = flow.local_port;
  context->packet.source = flow.remote;
  context->packet.source_port = flow.remote_port;
  socket = find_socket(skb, &context->packet);
  if (socket == TRAP_SOCKET_LIVES || socket == TRAP_SOCKET_OPENS)
    return 0;
  forget(&to_public, &wire);
  forget(&to_backend, &flow);
  return 0;
}
