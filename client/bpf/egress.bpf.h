/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What leaves this host: SYNs are remembered or sent to where a redirect says; segments of
 * redirected connections are translated. */
#pragma once

#include "client/bpf/fallback.bpf.h"
#include "client/bpf/flow.bpf.h"
#include "client/bpf/hook.bpf.h"
#include "client/bpf/icmp.bpf.h"
#include "client/bpf/scratch.bpf.h"
#include "client/bpf/ticket_option.bpf.h"
#include "dataplane/bpf/socket.bpf.h"

/* Does the kernel reach the backend by another next hop than the public address, whose next hop has
 * the address at `hop` in the frame? Then the frame's destination must be found again for each
 * packet. What comes from a LAN is routed behind this hook. */
static TRAP_SUBPROGRAM __u8 needs_neighbour(struct __sk_buff* skb, const struct packet_context* e,
                                            const union trap_address* local,
                                            const union trap_address* backend, enum trap_end hop) {
  struct bpf_fib_lookup route = {.l4_protocol = IPPROTO_TCP, .ifindex = skb->ifindex};
  const struct ethhdr* eth;
  const __u8* mac;
  long found;

  if (e->side == TRAP_SIDE_LAN || e->link == TRAP_LINK_IP)
    return 0;
  if (e->packet.family == TRAP_IPV4) {
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

static __always_inline enum trap_verdict translate_outward(struct __sk_buff* skb,
                                                           struct packet_context* e,
                                                           const struct trap_outward* outward,
                                                           enum trap_verdict success) {
  if (replace_end(skb, &e->packet, TRAP_DESTINATION, &outward->backend, outward->port))
    return TRAP_DROP_INTERNAL;
  if (outward->flags & TRAP_FLOW_VIA_NEIGHBOUR)
    e->action = (int)bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
  return success;
}

/* Is this SYN of a connect to carry the ticket? The first two are, unless SYNs were found to get
 * through only without it. */
static __always_inline int is_to_carry_ticket(__u8 syns, int unticketed_first) {
  return unticketed_first ? syns == 2 : syns <= TRAP_SYNS_TICKETED;
}

/* Sends a SYN to the service, with its ticket unless the flow says otherwise; has_room_for_ticket
 * was asked. */
static __always_inline enum trap_verdict send_to_service(struct __sk_buff* skb,
                                                         struct packet_context* e,
                                                         const struct trap_redirect* redirect,
                                                         const struct trap_outward* outward) {
  if (outward->flags & TRAP_FLOW_UNTICKETED)
    return translate_outward(skb, e, outward, TRAP_PASS_SYN_UNTICKETED);
  if (append_ticket(skb, &e->packet, redirect))
    return TRAP_DROP_INTERNAL;
  return translate_outward(skb, e, outward, TRAP_PASS_SYN_TICKETED);
}

/* What is known of the connect besides this SYN, if it is one more of the same connect. */
static __always_inline void keep_progress(struct trap_pending* syn,
                                          const struct trap_pending* before) {
  if (!before || before->isn != syn->isn)
    return;
  syn->iss = before->iss;
  syn->accepts = before->accepts;
  syn->connect = before->connect;
  if (before->state == TRAP_ACCEPT_SENT || before->state == TRAP_SYN_ACK_PASSED)
    syn->state = before->state;
}

/* Notes what it takes to send this SYN again to another place (client/bpf/ingress.bpf.h). If that
 * fails, the application connects as if we were not there. */
static TRAP_SUBPROGRAM int remember_syn(struct __sk_buff* skb, const struct packet_context* e,
                                        const struct trap_tuple* tuple, __u32 state) {
  const struct trap_packet* packet = &e->packet;
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;
  const __u8* ip = trap_l3(packet, data);
  struct trap_pending syn = {.isn = packet->seq, .window = packet->window, .flags = packet->flags};
  struct scratch* place = find_scratch();

  if (!place || ip + 9 > (const __u8*)end)
    return 0;
  if (packet->family == TRAP_IPV4) {
    syn.traffic_class = ip[1];
    syn.hop_limit = ip[8];
  } else {
    syn.traffic_class = (__u8)(ip[0] << 4 | ip[1] >> 4);
    syn.hop_limit = ip[7];
  }
  trap_copy_options(&place->area, trap_l4(packet, data), end, packet->header_bytes, packet->family);
  syn.option_bytes = (__u8)place->area.used;
  __builtin_memcpy(syn.options, place->area.bytes, sizeof(syn.options));
  keep_progress(&syn, bpf_map_lookup_elem(&pending, tuple));
  if (state == TRAP_REDIRECTED)
    syn.state = TRAP_REDIRECTED;
  store(&pending, tuple, &syn, BPF_ANY);
  return 0;
}

/* A SYN to the public address once more: were its ACCEPTs answered by nothing? A TRAP server that
 * serves can do without. */
static __always_inline void note_unanswered(const struct trap_tuple* tuple,
                                            const struct trap_redirect_key* key, __be32 isn) {
  struct trap_pending* syn = bpf_map_lookup_elem(&pending, tuple);

  if (!syn || syn->isn != isn || syn->state != TRAP_ACCEPT_SENT ||
      syn->accepts < TRAP_ACCEPTS_IN_VAIN || syn->connect & TRAP_CONNECT_RESETS)
    return;
  note_fallback(key, TRAP_FALLBACK_SERVED);
}

/* Our own SYN (client/bpf/respond.bpf.h) on its way through the egress hook to a service? */
static __always_inline int is_reissued(const struct packet_context* e,
                                       const struct trap_tuple* wire) {
  const struct trap_inward* inward = bpf_map_lookup_elem(&to_public, wire);
  const struct trap_outward* outward;
  struct trap_tuple tuple = *wire;

  if (!inward)
    return 0;
  tuple.remote = inward->service;
  tuple.remote_port = inward->port;
  outward = bpf_map_lookup_elem(&to_backend, &tuple);
  if (outward && outward->isn == e->packet.seq)
    return 1;
  forget(&to_public, wire); /* of an earlier connection from this port */
  return 0;
}

static __always_inline enum trap_verdict
judge_redirected_syn(struct __sk_buff* skb, struct packet_context* e,
                     const struct trap_tuple* tuple, const struct trap_redirect_key* key,
                     struct trap_redirect* redirect, struct trap_outward* outward) {
  outward->backend = redirect->backend;
  outward->port = redirect->port;
  if (needs_neighbour(skb, e, &tuple->local, &outward->backend, TRAP_DESTINATION))
    outward->flags = TRAP_FLOW_VIA_NEIGHBOUR;
  if (!is_to_carry_ticket(outward->syns, has_fallback(key, TRAP_FALLBACK_UNTICKETED)) ||
      !has_room_for_ticket(skb, &e->packet, ticket_block_bytes(redirect->flags)))
    outward->flags |= TRAP_FLOW_UNTICKETED;
  if (store_flow(tuple, outward))
    return TRAP_PASS_OTHER;
  if (!explaining)
    redirect->used_ns = coarse_ns();
  remember_syn(skb, e, tuple, TRAP_REDIRECTED);
  return send_to_service(skb, e, redirect, outward);
}

static TRAP_SUBPROGRAM enum trap_verdict judge_outgoing_syn(struct __sk_buff* skb,
                                                            struct packet_context* e) {
  struct trap_tuple tuple = outgoing_tuple(&e->packet, e->side);
  struct trap_redirect_key key = redirect_key(&tuple);
  struct trap_outward* known = bpf_map_lookup_elem(&to_backend, &tuple);
  struct trap_redirect* redirect = bpf_map_lookup_elem(&redirects, &key);
  struct trap_outward outward = {.isn = e->packet.seq, .syns = 1};
  enum trap_verdict verdict = TRAP_PASS_SYN_REMEMBERED;

  if (is_reissued(e, &tuple))
    return TRAP_PASS_OTHER;
  forget_in_socket(skb, &tuple);
  if (known && known->isn == outward.isn)
    outward.syns = known->syns < 255 ? known->syns + 1 : 255;
  if (redirect && redirect->until_ns > coarse_ns() && outward.syns <= TRAP_SYNS_TO_SERVICE)
    return judge_redirected_syn(skb, e, &tuple, &key, redirect, &outward);
  if (known && outward.syns > TRAP_SYNS_TO_SERVICE) {
    note_unreachable(&key, &known->backend, known->port);
    forget(&redirects, &key);
    verdict = TRAP_PASS_SYN_GIVEN_UP;
  }
  if (known)
    forget_flow(&tuple, known);
  note_unanswered(&tuple, &key, outward.isn);
  remember_syn(skb, e, &tuple, TRAP_SYN_SENT);
  return verdict;
}

static TRAP_SUBPROGRAM enum trap_verdict judge_outgoing_segment(struct __sk_buff* skb,
                                                                struct packet_context* e) {
  struct trap_tuple tuple = outgoing_tuple(&e->packet, e->side);
  struct trap_outward outward;

  if (!find_outward(skb, &e->packet, &tuple, &outward))
    return TRAP_PASS_OTHER;
  return translate_outward(skb, e, &outward, TRAP_PASS_TO_SERVICE);
}

static __always_inline enum trap_verdict judge_outgoing(struct __sk_buff* skb,
                                                        struct packet_context* e) {
  pull_headers(skb);
  switch (read_packet(skb, e)) {
  case TRAP_LAYER_TCP:
    if (trap_segment_kind(e->packet.flags) == TRAP_SEGMENT_SYN)
      return judge_outgoing_syn(skb, e);
    return may_be_redirected(&e->packet.destination, e->packet.destination_port)
               ? judge_outgoing_segment(skb, e)
               : TRAP_PASS_OTHER;
  case TRAP_LAYER_OTHER:
    return judge_outgoing_icmp(skb, e);
  default:
    return TRAP_PASS_OTHER;
  }
}

/* What is forwarded may have, on the wire, the addresses and ports of a connection that this host
 * had to the service: connection tracking knows that one by the public address, and gives its port
 * away again. The entry of one that is over would take the new one's answers. */
static TRAP_SUBPROGRAM int yield_to_forwarded(struct __sk_buff* skb, struct packet_context* e) {
  const struct trap_inward* inward;
  const struct trap_outward* outward;
  struct trap_tuple wire, flow;
  enum trap_socket socket;

  pull_headers(skb);
  if (read_packet(skb, e) != TRAP_LAYER_TCP ||
      trap_segment_kind(e->packet.flags) != TRAP_SEGMENT_SYN)
    return 0;
  wire = outgoing_tuple(&e->packet, e->side);
  inward = bpf_map_lookup_elem(&to_public, &wire);
  if (!inward)
    return 0;
  flow = wire;
  flow.remote = inward->service;
  flow.remote_port = inward->port;
  outward = bpf_map_lookup_elem(&to_backend, &flow);
  if (outward && outward->isn == e->packet.seq) /* sent by us (client/bpf/respond.bpf.h), perhaps
                                                   for who has no socket: a knock */
    return 0;
  e->packet.destination = flow.local; /* the socket's, as a packet to it would have them */
  e->packet.destination_port = flow.local_port;
  e->packet.source = flow.remote;
  e->packet.source_port = flow.remote_port;
  socket = find_socket(skb, &e->packet);
  if (socket == TRAP_SOCKET_LIVES || socket == TRAP_SOCKET_OPENS)
    return 0;
  forget(&to_public, &wire);
  forget(&to_backend, &flow);
  return 0;
}
