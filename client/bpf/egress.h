/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What leaves this host: SYNs are remembered or sent to where a redirect says; segments of redirected connections are translated. */
#ifndef TRAP_CLIENT_BPF_EGRESS_H
#define TRAP_CLIENT_BPF_EGRESS_H

#include "client/bpf/hook.h"
#include "client/bpf/ticket_option.h"
#include "dataplane/bpf/socket.h"

static __always_inline struct trap_tuple service_side_tuple(const struct trap_tuple* tuple, const struct trap_outward* outward) {
  struct trap_tuple wire = *tuple;

  wire.remote = outward->backend;
  wire.remote_port = outward->port;
  return wire;
}

/* Stores both directions of a redirected connection. 0 on success. */
static __always_inline int store_flow(const struct trap_tuple* tuple, const struct trap_outward* outward) {
  struct trap_tuple wire = service_side_tuple(tuple, outward);
  struct trap_inward inward = {.service = tuple->remote, .port = tuple->remote_port};

  return store(&to_backend, tuple, outward, BPF_ANY) || store(&to_public, &wire, &inward, BPF_ANY);
}

static __always_inline void forget_flow(const struct trap_tuple* tuple, const struct trap_outward* outward) {
  struct trap_tuple wire = service_side_tuple(tuple, outward);

  forget(&to_public, &wire);
  forget(&to_backend, tuple);
}

/* Does the kernel reach the backend by another next hop than the public address, whose next hop has the address at `hop` in the frame? Then
 * the frame's destination must be found again for each packet. What comes from a LAN is routed behind this hook. */
static __always_inline __u8 needs_neighbour(struct __sk_buff* skb, const struct encounter* e, const union trap_address* local,
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
  if (found != BPF_FIB_LKUP_RET_SUCCESS || (const __u8*)(eth + 1) > (const __u8*)(long)skb->data_end)
    return 0;
  mac = hop == TRAP_SOURCE ? eth->h_source : eth->h_dest;
  for (int i = 0; i < ETH_ALEN; i++) {
    if (mac[i] != route.dmac[i])
      return 1;
  }
  return 0;
}

static __always_inline enum trap_verdict translate_outward(struct __sk_buff* skb, struct encounter* e, const struct trap_outward* outward,
                                                           enum trap_verdict success) {
  if (replace_end(skb, &e->packet, TRAP_DESTINATION, &outward->backend, outward->port))
    return TRAP_DROP_INTERNAL;
  if (outward->via_neighbour)
    e->action = (int)bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
  return success;
}

/* Sends a SYN to the service, with the ticket while that is worth trying. */
static __always_inline enum trap_verdict send_to_service(struct __sk_buff* skb, struct encounter* e, const struct trap_redirect* redirect,
                                                         const struct trap_outward* outward) {
  enum trap_verdict verdict = TRAP_PASS_SYN_UNTICKETED;

  if (outward->syns <= TRAP_SYNS_TICKETED && has_room_for_ticket(skb, &e->packet, ticket_block_bytes(redirect->flags))) {
    if (append_ticket(skb, &e->packet, redirect))
      return TRAP_DROP_INTERNAL;
    verdict = TRAP_PASS_SYN_TICKETED;
  }
  return translate_outward(skb, e, outward, verdict);
}

/* Notes what it takes to send this SYN again to another place (client/bpf/ingress.h). */
static __always_inline enum trap_verdict remember_syn(struct __sk_buff* skb, const struct encounter* e, const struct trap_tuple* tuple) {
  const struct trap_packet* packet = &e->packet;
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;
  const __u8* ip = trap_l3(packet, data);
  struct trap_pending syn = {.isn = packet->seq, .window = packet->window, .flags = packet->flags, .state = TRAP_SYN_SENT};
  struct trap_option_area area;

  if (ip + 9 > (const __u8*)end)
    return TRAP_PASS_OTHER;
  if (packet->family == TRAP_IPV4) {
    syn.traffic_class = ip[1];
    syn.hop_limit = ip[8];
  } else {
    syn.traffic_class = (__u8)(ip[0] << 4 | ip[1] >> 4);
    syn.hop_limit = ip[7];
  }
  trap_copy_options(&area, trap_l4(packet, data), end, packet->header_bytes, packet->family);
  syn.option_bytes = (__u8)area.used;
  __builtin_memcpy(syn.options, area.bytes, sizeof(syn.options));
  store(&pending, tuple, &syn, BPF_ANY); /* if it fails, the application connects as if we were not there */
  return TRAP_PASS_SYN_REMEMBERED;
}

static __always_inline enum trap_verdict judge_outgoing_syn(struct __sk_buff* skb, struct encounter* e) {
  struct trap_tuple tuple = outgoing_tuple(e);
  struct trap_redirect_key key = {.local = tuple.local, .service = tuple.remote, .port = tuple.remote_port};
  struct trap_outward* known = bpf_map_lookup_elem(&to_backend, &tuple);
  struct trap_redirect* redirect = bpf_map_lookup_elem(&redirects, &key);
  struct trap_outward outward = {.isn = e->packet.seq, .syns = 1};

  if (bpf_map_lookup_elem(&to_public, &tuple)) /* our own re-issued SYN on its way through the egress hook */
    return TRAP_PASS_OTHER;
  if (known && known->isn == outward.isn)
    outward.syns = known->syns < 255 ? known->syns + 1 : 255;
  if (known && outward.syns > TRAP_SYNS_TO_SERVICE) {
    forget(&redirects, &key);
    forget_flow(&tuple, known);
    remember_syn(skb, e, &tuple);
    return TRAP_PASS_SYN_GIVEN_UP;
  }
  if (!redirect || redirect->until_ns <= coarse_ns()) {
    if (known)
      forget_flow(&tuple, known);
    return remember_syn(skb, e, &tuple);
  }
  outward.backend = redirect->backend;
  outward.port = redirect->port;
  outward.via_neighbour = needs_neighbour(skb, e, &tuple.local, &outward.backend, TRAP_DESTINATION);
  if (store_flow(&tuple, &outward))
    return TRAP_PASS_OTHER;
  if (!explaining)
    redirect->used_ns = coarse_ns();
  return send_to_service(skb, e, redirect, &outward);
}

static __always_inline enum trap_verdict judge_outgoing(struct __sk_buff* skb, struct encounter* e) {
  const struct trap_outward* outward;
  struct trap_tuple tuple;

  pull_headers(skb);
  if (read_packet(skb, e) != TRAP_LAYER_TCP)
    return TRAP_PASS_OTHER;
  if (trap_segment_kind(e->packet.flags) == TRAP_SEGMENT_SYN)
    return judge_outgoing_syn(skb, e);
  tuple = outgoing_tuple(e);
  outward = bpf_map_lookup_elem(&to_backend, &tuple);
  return outward ? translate_outward(skb, e, outward, TRAP_PASS_TO_SERVICE) : TRAP_PASS_OTHER;
}

/* What is forwarded may have, on the wire, the addresses and ports of a connection that this host had to the service: connection tracking
 * knows that one by the public address, and gives its port away again. The entry of one that is over would take the new one's answers. */
static __always_inline void yield_to_forwarded(struct __sk_buff* skb, struct encounter* e) {
  const struct trap_inward* inward;
  struct trap_tuple wire, flow;
  enum trap_socket socket;

  pull_headers(skb);
  if (read_packet(skb, e) != TRAP_LAYER_TCP || trap_segment_kind(e->packet.flags) != TRAP_SEGMENT_SYN)
    return;
  wire = outgoing_tuple(e);
  inward = bpf_map_lookup_elem(&to_public, &wire);
  if (!inward)
    return;
  flow = wire;
  flow.remote = inward->service;
  flow.remote_port = inward->port;
  e->packet.destination = flow.local; /* the socket's, as a packet to it would have them */
  e->packet.destination_port = flow.local_port;
  e->packet.source = flow.remote;
  e->packet.source_port = flow.remote_port;
  socket = find_socket(skb, &e->packet);
  if (socket == TRAP_SOCKET_LIVES || socket == TRAP_SOCKET_OPENS)
    return;
  forget(&to_public, &wire);
  forget(&to_backend, &flow);
}

#endif
