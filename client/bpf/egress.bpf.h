/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Outgoing packets: SYNs are remembered, or sent to the service that a redirect names; segments of
 * redirected connections are translated. */
#pragma once

#include "client/bpf/consent.bpf.h"
#include "client/bpf/fallback.bpf.h"
#include "client/bpf/hook.bpf.h"
#include "client/bpf/icmp.bpf.h"
#include "client/bpf/lane.bpf.h"
#include "client/bpf/pending.bpf.h"
#include "client/bpf/routing.bpf.h"
#include "client/bpf/scratch.bpf.h"
#include "client/bpf/syn_form.bpf.h"
#include "client/bpf/ticket_option.bpf.h"
#include "dataplane/bpf/socket.bpf.h"

#define TRAP_FIB_LOOKUP_MARK (1u << 5) /* BPF_FIB_LOOKUP_MARK of Linux 6.10 */

/* Is memory->way the way from memory->tuple's local address to its remote one, or to the backend of
 * memory->outward, by the addresses and the mark? A kernel that cannot look a mark up does not
 * know. An enum next_hop. */
TRAP_GLOBAL_FUNCTION int compare_next_hop(struct __sk_buff* skb, __u32 family, int to_backend) {
  struct bpf_fib_lookup route = {.l4_protocol = IPPROTO_TCP};
  struct scratch* memory = find_scratch();
  __u32 flags = BPF_FIB_LOOKUP_OUTPUT;
  const union trap_address* remote;
  long found;

  if (!memory)
    return TRAP_HOP_UNKNOWN;
  remote = to_backend ? &memory->outward.backend : &memory->tuple.remote;
  route.ifindex = memory->way.ifindex;
  if (family == TRAP_IPV4) {
    route.family = 2; /* AF_INET */
    route.ipv4_src = memory->tuple.local.be32[3];
    route.ipv4_dst = remote->be32[3];
  } else {
    route.family = 10; /* AF_INET6 */
    __builtin_memcpy(route.ipv6_src, &memory->tuple.local, 16);
    __builtin_memcpy(route.ipv6_dst, remote, 16);
  }
  if (memory->way.mark) {
    __builtin_memcpy(route.smac, &memory->way.mark, sizeof(memory->way.mark));
    flags |= TRAP_FIB_LOOKUP_MARK;
  }
  found = bpf_fib_lookup(skb, &route, sizeof(route), flags);
  if (found == BPF_FIB_LKUP_RET_NO_NEIGH)
    return TRAP_HOP_OTHER;
  if (found != BPF_FIB_LKUP_RET_SUCCESS)
    return TRAP_HOP_UNKNOWN;
  for (int i = 0; i < ETH_ALEN; i++) {
    if (memory->way.next_hop[i] != route.dmac[i])
      return TRAP_HOP_OTHER;
  }
  return TRAP_HOP_SAME;
}

/* Does the kernel reach the backend of memory->outward by another next hop than the public address,
 * whose SYN went the way memory->way? Then each packet needs another link-layer destination. The
 * host's routes say so (is_led_elsewhere() comes first); where they do not, the kernel is asked,
 * which answers on a host that forwards. Where rules that this look-up does not know (users, ports)
 * chose that way, the backend is reached by it too. Packets from a LAN are routed after this hook.
 */
static __always_inline int needs_neighbour(struct __sk_buff* skb,
                                           const struct packet_context* context) {
  __u32 family = context->packet.family;
  struct scratch* memory = find_scratch();
  int by_routes;

  if (!memory || context->side == TRAP_SIDE_LAN || context->framing == TRAP_FRAMING_IP)
    return 0;
  by_routes = compare_routes(memory);
  if (by_routes != TRAP_HOP_UNKNOWN)
    return by_routes == TRAP_HOP_OTHER;
  return compare_next_hop(skb, family, 1) == TRAP_HOP_OTHER &&
         compare_next_hop(skb, family, 0) == TRAP_HOP_SAME;
}

static __always_inline TRAP_MUST_USE enum trap_verdict
translate_outward(struct __sk_buff* skb, struct packet_context* context,
                  const struct trap_outward* outward, enum trap_verdict success) {
  if (replace_end(skb, &context->packet, TRAP_DESTINATION, &outward->backend, outward->port,
                  outward->flags))
    return TRAP_DROP_INTERNAL;
  if (is_via_neighbour(context, outward))
    context->action = (int)bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
  return success;
}

/* Is this SYN of a connect to carry the ticket? The first two are, unless SYNs were found to get
 * through only without it. */
static __always_inline int is_to_carry_ticket(__u8 syns, int unticketed_first) {
  return unticketed_first ? syns == 2 : syns <= TRAP_SYNS_TICKETED;
}

/* Sends a SYN to the service, with its ticket unless the flow says otherwise; the caller has
 * checked has_room_for_option(). */
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
  syn->began_ns = before->began_ns;
  syn->accepts = before->accepts;
  syn->connect = before->connect & ~(TRAP_CONNECT_ACCEPTED | TRAP_CONNECT_AE);
  syn->tickets = before->tickets;
  syn->consents[0] = before->consents[0];
  syn->consents[1] = before->consents[1];
  if (before->state == TRAP_ACCEPT_SENT || before->state == TRAP_SYN_ACK_PASSED)
    syn->state = before->state;
}

/* What the kernel's rules went by, of the SYN on its walk. */
static __always_inline void note_way(struct __sk_buff* skb, const struct trap_tuple* tuple,
                                     enum trap_side side, struct way* way) {
  const struct bpf_sock* socket = sending_socket(skb, tuple);

  way->ifindex = skb->ifindex;
  way->mark = skb->mark;
  way->user = side == TRAP_SIDE_HOST ? bpf_get_socket_uid(skb) : 0;
  way->bound = socket ? socket->bound_dev_if : 0;
}

static __always_inline int has_ae(const struct __sk_buff* skb, const struct trap_packet* packet) {
  const struct trap_tcp* tcp = trap_l4(packet, (const void*)(long)skb->data);

  return (const void*)(tcp + 1) <= (const void*)(long)skb->data_end &&
         tcp->data_offset & TRAP_TCP_AE;
}

/* Remembers the SYN on its walk, of memory->tuple, so that it can be sent again to another place
 * (client/bpf/ingress.bpf.h). read_syn_options() has its options. If that fails, the application
 * connects as if TRAP were not there. */
TRAP_GLOBAL_FUNCTION int remember_syn(struct __sk_buff* skb, __u32 state, __u32 connect) {
  struct scratch* memory = find_scratch();
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;
  const struct packet_context* context;
  const struct trap_packet* packet;
  const struct trap_pending* before;
  struct trap_pending* syn;
  int is_of_crowd = 0;
  const __u8* ip;

  if (!memory)
    return 0;
  context = &memory->packet_context;
  packet = &context->packet;
  ip = trap_l3(packet, data);
  if (ip + 9 > (const __u8*)end)
    return 0;
  syn = &memory->syn;
  __builtin_memset(syn, 0, sizeof(*syn));
  syn->isn = packet->seq;
  syn->began_ns = coarse_ns();
  syn->window = packet->window;
  syn->flags = packet->flags;
  if (packet->family == TRAP_IPV4) {
    syn->traffic_class = ip[1];
    syn->hop_limit = ip[8];
  } else {
    syn->traffic_class = (__u8)(ip[0] << 4 | ip[1] >> 4);
    syn->hop_limit = ip[7];
  }
  syn->option_bytes = (__u8)memory->area.used;
  syn->plain_bytes = (__u8)memory->plain_bytes;
  __builtin_memcpy(syn->options, memory->area.bytes, sizeof(syn->options));
  note_way(skb, &memory->tuple, context->side, &memory->way);
  syn->mark = memory->way.mark;
  syn->user = memory->way.user;
  syn->bound = memory->way.bound;
  if (context->side == TRAP_SIDE_HOST && context->framing == TRAP_FRAMING_ETHERNET &&
      !bpf_skb_load_bytes(skb, 0, syn->ethernet, sizeof(syn->ethernet)))
    syn->ifindex = skb->ifindex;
  before = bpf_map_lookup_elem(&pending, &memory->tuple);
  if (!before) {
    before = bpf_map_lookup_elem(&pending_crowd, &memory->tuple);
    is_of_crowd = before || is_beyond_share(skb);
  }
  keep_progress(syn, before);
  syn->connect |= connect;
  if (has_ae(skb, packet))
    syn->connect |= TRAP_CONNECT_AE;
  if (state == TRAP_REDIRECTED)
    syn->state = TRAP_REDIRECTED;
  if (is_of_crowd)
    store(&pending_crowd, &memory->tuple, syn, BPF_ANY);
  else
    store(&pending, &memory->tuple, syn, BPF_ANY);
  return 0;
}

/* A repeated SYN to the public address: were its ACCEPTs in vain? Then a TRAP server that serves is
 * to serve; one that resets is to reset, if that is so of many. */
static TRAP_SUBPROGRAM int note_unanswered(const struct trap_tuple* tuple,
                                           const struct trap_redirect_key* key, __be32 isn) {
  struct trap_pending* syn = find_pending(tuple);

  if (!syn || syn->isn != isn || syn->state != TRAP_ACCEPT_SENT)
    return 0;
  if (!(syn->connect & TRAP_CONNECT_RESETS)) {
    if (syn->accepts >= TRAP_ACCEPTS_IN_VAIN)
      note_fallback(key, TRAP_FALLBACK_SERVED);
  } else if (syn->connect & TRAP_CONNECT_ACCEPTED && !syn->is_renewal) {
    note_in_vain(key);
  }
  return 0;
}

/* Is this our own SYN (client/bpf/respond.bpf.h) on its way to a service? */
static TRAP_SUBPROGRAM int is_reissued(const struct packet_context* context,
                                       const struct trap_tuple* wire) {
  const struct trap_inward* inward = bpf_map_lookup_elem(&to_public, wire);
  const struct trap_outward* outward;
  struct scratch* memory = find_scratch();

  if (!inward || !memory)
    return 0;
  memory->search.tuple = socket_side_tuple(wire, inward);
  outward = bpf_map_lookup_elem(&to_backend, &memory->search.tuple);
  return outward && outward->isn == context->packet.seq;
}

static __always_inline __u8 traffic_class_of(const struct __sk_buff* skb,
                                             const struct trap_packet* packet) {
  const __u8* ip = trap_l3(packet, (const void*)(long)skb->data);

  if (ip + 2 > (const __u8*)(long)skb->data_end)
    return 0;
  return packet->family == TRAP_IPV4 ? ip[1] : (__u8)(ip[0] << 4 | ip[1] >> 4);
}

/* Gives the connect of the packet its way to the service, if this host's routing has one. 0 on
 * success. */
static TRAP_SUBPROGRAM int lead_to_service(struct __sk_buff* skb, struct packet_context* context,
                                           struct scratch* memory,
                                           const struct trap_redirect* redirect) {
  struct trap_outward* outward = &memory->outward;

  outward->backend = redirect->backend;
  outward->port = redirect->port;
  note_way(skb, &memory->tuple, context->side, &memory->way);
  memory->way.traffic_class = traffic_class_of(skb, &context->packet);
  if (is_led_elsewhere(context->packet.family))
    return -1;
  if (!bpf_skb_load_bytes(skb, 0, memory->way.next_hop, ETH_ALEN) && needs_neighbour(skb, context))
    outward->flags |= TRAP_FLOW_VIA_NEIGHBOUR;
  if (!has_room_for_option(skb, &context->packet, ticket_block_bytes(redirect->flags))) {
    if (redirect->flags & TRAP_REDIRECT_TO_CONSENT)
      return -1;
    outward->flags |= TRAP_FLOW_UNTICKETED;
  } else if (!(redirect->flags & TRAP_REDIRECT_TO_CONSENT) &&
             !is_to_carry_ticket(outward->syns,
                                 has_fallback(&memory->key, TRAP_FALLBACK_UNTICKETED))) {
    outward->flags |= TRAP_FLOW_UNTICKETED;
  }
  return store_flow(skb, context->packet.family);
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_redirected_syn(struct __sk_buff* skb, struct packet_context* context, struct scratch* memory,
                     struct trap_redirect* redirect) {
  if (!explaining)
    redirect->used_ns = coarse_ns();
  note_question(redirect);
  remember_syn(skb, TRAP_REDIRECTED, 0);
  if (!(memory->outward.flags & TRAP_FLOW_UNTICKETED))
    note_ticket(&redirect->ticket);
  return send_to_service(skb, context, redirect, &memory->outward);
}

/* Does a living connection have the place on the wire of a SYN that goes where the application
 * dialled? A connection that is over loses its place to the SYN; and to a forwarded SYN its way out
 * as well, whose last segments would be taken for the other's. */
static TRAP_SUBPROGRAM int is_taken(struct __sk_buff* skb, const struct packet_context* context,
                                    const struct trap_tuple* wire) {
  __u32 family = context->packet.family;
  struct scratch* memory = find_scratch();

  if (!memory || !may_be_redirected(&wire->remote, wire->remote_port) ||
      !find_inward(skb, wire, family, &memory->search.found))
    return 0;
  if ((!skb->ingress_ifindex && !sees_sockets(skb, family)) ||
      is_alive(skb, family, wire, &memory->search.found))
    return 1;
  memory->search.tuple = socket_side_tuple(wire, &memory->search.found);
  if (skb->ingress_ifindex)
    forget(&to_backend, &memory->search.tuple);
  forget(&to_public, wire);
  return 0;
}

/* The backend itself was dialled while a redirected connection has the place on the wire: gives the
 * SYN another local port. 0 on success. */
static TRAP_SUBPROGRAM int lead_from_lane(struct __sk_buff* skb, struct packet_context* context,
                                          struct scratch* memory) {
  memory->outward.backend = memory->tuple.remote;
  memory->outward.port = memory->tuple.remote_port;
  memory->outward.flags = 0;
  return store_flow(skb, context->packet.family);
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_direct_syn(struct __sk_buff* skb, struct packet_context* context, struct scratch* memory) {
  return translate_outward(skb, context, &memory->outward, TRAP_PASS_TO_SERVICE);
}

/* Has this connect been led by a REDIRECT of its own? One that was led by what an earlier connect
 * learnt may have had a ticket that is no longer right. */
static TRAP_SUBPROGRAM int was_led_anew(const struct trap_tuple* tuple, __be32 isn) {
  const struct trap_pending* syn = find_pending(tuple);

  return syn && syn->isn == isn && syn->accepts;
}

/* A SYN that goes where the application dialled. It goes on like this if the backend was found
 * silent. */
static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_plain_syn(struct __sk_buff* skb, struct scratch* memory, const struct trap_outward* known,
                __u32 connect, enum trap_verdict verdict) {
  const struct trap_tuple* tuple = &memory->tuple;
  const struct trap_redirect_key* key = &memory->key;

  if (known && memory->outward.syns > TRAP_SYNS_TO_SERVICE) {
    note_backend(key, &known->backend, known->port, TRAP_FALLBACK_UNREACHABLE);
    forget(&redirects, key);
    if (was_led_anew(tuple, memory->outward.isn))
      connect |= TRAP_CONNECT_GAVE_UP;
    verdict = TRAP_PASS_SYN_GIVEN_UP;
  }
  if (known)
    forget_flow(tuple, known);
  note_unanswered(tuple, key, memory->outward.isn);
  remember_syn(skb, TRAP_SYN_SENT, connect);
  return verdict;
}

/* Begins with the connect of a SYN as if this were its first. */
static __always_inline void begin_connect(struct scratch* memory,
                                          const struct packet_context* context) {
  memory->tuple = outgoing_tuple(&context->packet, context->side);
  memory->key = redirect_key(&memory->tuple);
  __builtin_memset(&memory->outward, 0, sizeof(memory->outward));
  memory->outward.isn = context->packet.seq;
  memory->outward.syns = 1;
}

/* Is the SYN on its walk for the way to that address, and no other? Its hop limit may be meant to
 * end at a router; IP options, routing and authentication headers are right for the addresses that
 * the application dialled, and a SYN that the programs send again would lack them. What becomes of
 * it says nothing of a backend. */
static __always_inline int is_bound_to_its_way(const struct __sk_buff* skb,
                                               const struct trap_packet* packet) {
  const __u8* ip = trap_l3(packet, (const void*)(long)skb->data);

  if (ip + 9 > (const __u8*)(long)skb->data_end)
    return 0;
  if (packet->family == TRAP_IPV4)
    return ip[8] < TRAP_LEAST_HOP_LIMIT ||
           packet->l4_offset != packet->l3_offset + sizeof(struct iphdr);
  return ip[7] < TRAP_LEAST_HOP_LIMIT ||
         packet->l4_offset != packet->l3_offset + sizeof(struct ipv6hdr);
}

/* Is this a repeated SYN of a connect that follows no redirect any more? */
static TRAP_SUBPROGRAM int has_turned_back(const struct trap_tuple* tuple, __be32 isn) {
  const struct trap_pending* syn = find_pending(tuple);

  if (!syn || syn->isn != isn)
    return 0;
  return syn->connect & (TRAP_CONNECT_HAS_NO_WAY | TRAP_CONNECT_UNCONSENTED) ||
         (has_given_up(syn) && syn->connect & TRAP_CONNECT_RESETS);
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_outgoing_syn(struct __sk_buff* skb, struct packet_context* context) {
  struct scratch* memory = find_scratch();
  struct trap_redirect* redirect;
  enum trap_verdict verdict = TRAP_PASS_SYN_REMEMBERED;
  struct trap_outward* known;
  __u32 connect = 0;
  int is_bound;

  if (!memory)
    return TRAP_PASS_OTHER;
  begin_connect(memory, context);
  if (trap_is_link_local(&memory->tuple.remote, context->packet.family) ||
      is_reissued(context, &memory->tuple))
    return TRAP_PASS_OTHER;
  forget_in_socket(skb, &memory->tuple);
  known = bpf_map_lookup_elem(&to_backend, &memory->tuple);
  read_syn_options(skb);
  if (memory->is_signed) {
    if (known)
      forget_flow(&memory->tuple, known);
    return TRAP_PASS_OTHER;
  }
  is_bound = is_bound_to_its_way(skb, &context->packet);
  redirect = is_bound ? NULL : bpf_map_lookup_elem(&redirects, &memory->key);
  if (known && known->isn == memory->outward.isn)
    memory->outward.syns = known->syns < 255 ? known->syns + 1 : 255;
  if (redirect && redirect->until_ns > coarse_ns() &&
      memory->outward.syns <= TRAP_SYNS_TO_SERVICE &&
      !has_turned_back(&memory->tuple, memory->outward.isn)) {
    if (memory->outward.syns == 1 && is_silent(redirect)) {
      note_backend(&memory->key, &redirect->backend, redirect->port, TRAP_FALLBACK_UNREACHABLE);
      forget(&redirects, &memory->key);
      verdict = TRAP_PASS_SYN_GIVEN_UP;
    } else if (!lead_to_service(skb, context, memory, redirect)) {
      return judge_redirected_syn(skb, context, memory, redirect);
    } else {
      connect = TRAP_CONNECT_HAS_NO_WAY;
    }
  }
  if ((known && known->isn == memory->outward.isn && is_direct(&memory->tuple, known)) ||
      is_taken(skb, context, &memory->tuple))
    return lead_from_lane(skb, context, memory) ? TRAP_PASS_OTHER
                                                : judge_direct_syn(skb, context, memory);
  if (is_bound) {
    if (known)
      forget_flow(&memory->tuple, known);
    return TRAP_PASS_OTHER;
  }
  return judge_plain_syn(skb, memory, known, connect, verdict);
}

static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_outgoing_segment(struct __sk_buff* skb, struct packet_context* context) {
  struct trap_tuple tuple = outgoing_tuple(&context->packet, context->side);
  struct trap_outward outward;

  if (!find_outward(skb, &context->packet, &tuple, &outward))
    return TRAP_PASS_OTHER;
  return translate_outward(skb, context, &outward, TRAP_PASS_TO_SERVICE);
}

static __always_inline int is_backend(struct scratch* memory) {
  const struct trap_tuple* tuple = &memory->tuple;

  return bpf_map_lookup_elem(
             &origins, origin_key(&memory->search, &tuple->remote, tuple->remote_port)) != NULL;
}

/* A forwarded connection may have, on the wire, the addresses and ports of one that this host has
 * to a service: connection tracking knows that one by the public address, and gives its port again.
 * So forwarded connections to backends take places on the wire as well. */
static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_forwarded_syn(struct __sk_buff* skb, struct packet_context* context, struct scratch* memory,
                    const struct trap_outward* known) {
  const struct trap_tuple* tuple = &memory->tuple;
  const struct trap_pending* syn = find_pending(tuple);
  struct trap_outward* outward = &memory->outward;

  if (is_reissued(context, tuple) || (syn && syn->isn == context->packet.seq))
    return TRAP_PASS_OTHER; /* sent by us (client/bpf/respond.bpf.h) */
  if (!is_taken(skb, context, tuple) && !is_backend(memory))
    return TRAP_PASS_OTHER;
  __builtin_memset(outward, 0, sizeof(*outward));
  outward->backend = tuple->remote;
  outward->port = tuple->remote_port;
  outward->isn = context->packet.seq;
  outward->flags = TRAP_FLOW_FORWARDED;
  if (known)
    outward->flags |= known->flags & TRAP_FLOW_LANE;
  if (take_place(skb, context->packet.family))
    return TRAP_PASS_OTHER;
  if (!trap_lane(outward->flags)) {
    forget(&to_backend, tuple);
    return TRAP_PASS_OTHER;
  }
  if (store(&to_backend, tuple, outward, BPF_ANY))
    return TRAP_PASS_OTHER;
  return translate_outward(skb, context, outward, TRAP_PASS_TO_SERVICE);
}

/* A segment of a host behind this one, where it leaves this host. */
static TRAP_SUBPROGRAM TRAP_MUST_USE enum trap_verdict
judge_forwarded(struct __sk_buff* skb, struct packet_context* context) {
  const struct trap_packet* packet = &context->packet;
  struct scratch* memory = find_scratch();
  const struct trap_outward* known;

  if (!memory || !may_be_redirected(&packet->destination, packet->destination_port))
    return TRAP_PASS_OTHER;
  memory->tuple = outgoing_tuple(packet, context->side);
  known = bpf_map_lookup_elem(&to_backend, &memory->tuple);
  if (known && !(known->flags & TRAP_FLOW_FORWARDED))
    known = NULL; /* a connection of this host's */
  if (trap_segment_kind(packet->flags) == TRAP_SEGMENT_SYN)
    return judge_forwarded_syn(skb, context, memory, known);
  if (!known)
    return TRAP_PASS_OTHER;
  memory->outward = *known;
  return translate_outward(skb, context, &memory->outward, TRAP_PASS_TO_SERVICE);
}

static __always_inline TRAP_MUST_USE enum trap_verdict
judge_outgoing(struct __sk_buff* skb, struct packet_context* context, int forwarded) {
  pull_headers(skb);
  switch (read_packet(skb, context)) {
  case TRAP_LAYER_TCP:
    if (forwarded)
      return judge_forwarded(skb, context);
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
