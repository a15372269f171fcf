/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Segments that leave, at tc: a SYN-ACK of a protected port tells its flow the number that the
 * client has to acknowledge. All other packets pass after one look at their flags, and are not
 * counted. */
#pragma once

#include <linux/pkt_cls.h>

#include "dataplane/bpf/capture.bpf.h"
#include "dataplane/bpf/count.bpf.h"
#include "dataplane/segment.h"
#include "guard/bpf/budget.bpf.h"
#include "guard/bpf/consent.bpf.h"

/* Bytes of the link-layer header that the packets of an interface begin with. */
#define TRAP_LINK_ETHERNET ETH_HLEN
#define TRAP_LINK_NONE 0

/* What follows a header that ends with an EtherType: the next one, if that is a VLAN tag's. Such
 * tags are in the packet where they are not in its metadata. */
static __always_inline const __u8* behind_tag(const __u8* l3, const __u8* end) {
  return l3 <= end && trap_is_vlan_tag(*(const __be16*)(l3 - 2)) ? l3 + 4 : l3;
}

static __always_inline const __u8* leaving_l3(const __u8* data, const __u8* end, __u32 link_bytes) {
  if (link_bytes == TRAP_LINK_NONE)
    return data;
  return behind_tag(behind_tag(data + link_bytes, end), end);
}

/* A packet that leaves, in a word: source port (host byte order) and flags, if it is TCP. */
#define TRAP_LEAVES_OTHER 0u
#define TRAP_LEAVES_UNREAD (1u << 31) /* its headers are not linear so far */
#define TRAP_LEAVES_TCP (1u << 30)
#define TRAP_LEAVES_PORT(leaving) ((leaving) >> 8 & 0xffff)

/* Not exact: packets of other protocols than IP are read as if they were IP. An IPv6 packet with
 * extension headers is not read: stacks send TCP without. */
static __always_inline __u32 read_word_of_leaving(const struct __sk_buff* skb, __u32 link_bytes) {
  const __u8* data = (const void*)(long)skb->data;
  const __u8* end = (const void*)(long)skb->data_end;
  const __u8* l3 = leaving_l3(data, end, link_bytes);
  const struct trap_tcp* tcp;

  if (l3 + sizeof(struct iphdr) + sizeof(struct trap_tcp) > end)
    return TRAP_LEAVES_UNREAD;
  if (l3[0] >> 4 == 4) {
    __u64 header_bytes = (l3[0] & 0x0f) * 4;

    if (l3[9] != IPPROTO_TCP)
      return TRAP_LEAVES_OTHER;
    TRAP_HOLD(header_bytes);
    tcp = (const void*)(l3 + header_bytes);
  } else {
    if (l3[6] != IPPROTO_TCP)
      return TRAP_LEAVES_OTHER;
    tcp = (const void*)(l3 + sizeof(struct ipv6hdr));
  }
  if ((const __u8*)(tcp + 1) > end)
    return TRAP_LEAVES_UNREAD;
  return TRAP_LEAVES_TCP | (__u32)TRAP_FROM_BE16(tcp->source_port) << 8 | tcp->flags;
}

static __always_inline int is_answer(__u32 leaving) {
  return (leaving & (TRAP_TCP_SYN | TRAP_TCP_ACK)) == (TRAP_TCP_SYN | TRAP_TCP_ACK);
}

/* Headers must lie in the linear part of the buffer; those of forwarded packets may not. */
static __always_inline void pull_answer(struct __sk_buff* skb) {
  const __u32 wanted = ETH_HLEN + 4 * TRAP_VLAN_TAGS_MAX + sizeof(struct ipv6hdr) + 60;
  __u64 linear = (__u64)skb->data_end - (__u64)skb->data;

  if (linear < wanted && linear < skb->len)
    bpf_skb_pull_data(skb, skb->len < wanted ? skb->len : wanted);
}

static __always_inline enum trap_layer read_leaving_packet(struct __sk_buff* skb, __u32 link_bytes,
                                                           struct trap_packet* packet) {
  pull_answer(skb);
  return link_bytes == TRAP_LINK_NONE
             ? trap_read_ip(packet, (const void*)(long)skb->data, (const void*)(long)skb->data_end)
             : trap_read_frame(packet, (const void*)(long)skb->data,
                               (const void*)(long)skb->data_end);
}

/* The flow that a segment which leaves belongs to, NULL if there is none. */
static __always_inline struct trap_guard_flow* find_answered(const struct trap_packet* packet) {
  struct trap_flow_key key = {
      .client = packet->destination,
      .service = packet->source,
      .client_port = packet->destination_port,
      .service_port = packet->source_port,
  };

  __u64 hash = hash_flow(&key), now_ns = coarse_ns();
  struct trap_guard_flow* flow = find_half_open(&key, hash, now_ns);

  return flow ? flow : find_flow(&key, hash, now_ns);
}

/* The numbers of a SYN-ACK, for its flow. One with another number is of another connection. */
static __always_inline void note_answer(const struct trap_packet* packet,
                                        struct trap_guard_flow* flow) {
  __u32 isn = TRAP_FROM_BE32(packet->seq);

  if (flow->flags & TRAP_FLOW_HALF_OPEN) {
    flow->client_isn = TRAP_FROM_BE32(packet->ack) - 1;
    if (flow->isn != isn) {
      __u64 now_ns = coarse_ns();

      mark_half_open(hash_flow(&entry_of(flow)->key), now_ns);
      flow->seen_ns = now_ns;
    }
    flow->isn = isn;
  }
}

/* A SYN-ACK of a protected port: its flow gets its number, and a ticket the guard's consent. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_syn_ack(struct __sk_buff* skb, const struct trap_packet* packet) {
  struct trap_guard_flow* flow = find_answered(packet);
  union standing standing;

  if (!flow)
    return TRAP_PASS_OTHER;
  if (!explaining)
    note_answer(packet, flow);
  standing = standing_of(flow);
  return standing.consent_kind ? say_consent(skb, packet, entry_of(flow)->key.consent,
                                             standing.consent_kind == TRAP_KIND_EXPERIMENTAL)
                               : TRAP_PASS_ANSWER;
}

/* `link_bytes`: TRAP_LINK_ETHERNET or TRAP_LINK_NONE. */
static __always_inline __u32 captured_at(__u32 link_bytes) {
  return link_bytes == TRAP_LINK_NONE ? TRAP_CAPTURED_AT_IP : 0;
}

/* A packet that may be a SYN-ACK. Returns the action of tc, or an explanation. A function by
 * itself, out of the way of all other packets. */
TRAP_GLOBAL_FUNCTION int judge_answer(struct __sk_buff* skb, __u32 link_bytes) {
  struct trap_packet packet = {};
  const struct trap_guard_port* port;
  enum trap_verdict verdict;
  enum trap_layer layer;
  __u32 number;

  layer = read_leaving_packet(skb, link_bytes, &packet);
  if (layer != TRAP_LAYER_TCP || trap_segment_kind(packet.flags) != TRAP_SEGMENT_SYN_ACK)
    return explaining ? explain(0, TRAP_PASS_OTHER) : TC_ACT_UNSPEC;
  number = TRAP_FROM_BE16(packet.source_port);
  port = bpf_map_lookup_elem(&ports, &number);
  if (!port || !port->slot)
    return explaining ? explain(0, TRAP_PASS_OTHER) : TC_ACT_UNSPEC;
  verdict = judge_syn_ack(skb, &packet);
  if (explaining)
    return explain(port->slot, verdict);
  count(port->slot, verdict, packet.l3_end, 0);
  if (is_capturing())
    capture_packet(skb,
                   sample_of(port->slot, verdict, captured_at(link_bytes) | TRAP_CAPTURED_LEAVES));
  return verdict == TRAP_DROP_INTERNAL ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* The flags of a flow after a segment of the service: a FIN or RST closes it. Anything else, a
 * second after the client's RST or later, shows that it lives. */
static __always_inline __u8 flags_after_leaving(const struct trap_guard_flow* flow, __u8 segment,
                                                __u64 now_ns) {
  const __u8 by_fin = TRAP_FLOW_CLIENT_CLOSED | TRAP_FLOW_SERVER_CLOSED;
  __u8 flags = flow->flags;

  if (segment & TRAP_TCP_RST)
    return flags | TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED;
  if (segment & TRAP_TCP_FIN) {
    flags |= TRAP_FLOW_CLOSING | TRAP_FLOW_SERVER_CLOSED;
    return flags & TRAP_FLOW_CLIENT_CLOSED ? flags | TRAP_FLOW_ENDED : flags;
  }
  if (!(flags & TRAP_FLOW_CLOSING) || (flags & by_fin) ||
      (__s64)(now_ns - flow->seen_ns) <= (__s64)TRAP_FLOW_REFRESH_NS)
    return flags;
  return flags & (__u8) ~(TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED);
}

/* A segment of a service whose sockets are elsewhere: its flow learns the number that the service
 * expects next, and whether it closes. */
static __always_inline void note_leaving(const struct trap_packet* packet,
                                         const struct trap_guard_port* port) {
  struct trap_flow_key key = {
      .client = packet->destination,
      .service = packet->source,
      .client_port = packet->destination_port,
      .service_port = packet->source_port,
  };
  struct subject subject = {
      .client = {.prefix = trap_address_mask(packet->destination, packet->family,
                                             packet->family == TRAP_IPV4 ? port->scope_v4
                                                                         : port->scope_v6),
                 .slot = port->slot}};
  __u64 now_ns = coarse_ns();
  struct trap_guard_flow* flow = find_flow(&key, hash_flow(&key), now_ns);
  struct trap_flow_entry* entry;
  __u32 acknowledged = TRAP_FROM_BE32(packet->ack);
  __u8 flags;

  if (!flow)
    return;
  entry = entry_of(flow);
  if ((packet->flags & TRAP_TCP_ACK) &&
      (!entry->key.expected || (__s32)(acknowledged - entry->key.expected) > 0))
    entry->key.expected = acknowledged;
  flags = flags_after_leaving(flow, packet->flags, now_ns);
  if (flags != flow->flags)
    turn_flow(&subject, flow, flags);
  if (!(flags & TRAP_FLOW_ENDED) && now_ns - flow->seen_ns > TRAP_FLOW_REFRESH_NS)
    flow->seen_ns = now_ns;
}

/* A segment that leaves a service whose sockets are elsewhere, and is no SYN-ACK. A function by
 * itself, out of the way of all other packets. */
TRAP_GLOBAL_FUNCTION int read_leaving(struct __sk_buff* skb, __u32 link_bytes) {
  struct trap_packet packet = {};
  const struct trap_guard_port* port;
  enum trap_layer layer;
  __u32 number;

  layer = read_leaving_packet(skb, link_bytes, &packet);
  if (layer != TRAP_LAYER_TCP || trap_segment_kind(packet.flags) == TRAP_SEGMENT_SYN_ACK)
    return TC_ACT_UNSPEC;
  number = TRAP_FROM_BE16(packet.source_port);
  port = bpf_map_lookup_elem(&ports, &number);
  if (port && port->slot && !(port->flags & TRAP_PORT_SOCKETS))
    note_leaving(&packet, port);
  return TC_ACT_UNSPEC;
}

/* The segment comes from a service whose sockets are elsewhere, or may: its headers are unread. */
static __always_inline int is_read_whole(__u32 leaving) {
  __u32 zero = 0, number = TRAP_LEAVES_PORT(leaving);
  const struct trap_guard_settings* now = bpf_map_lookup_elem(&settings, &zero);
  const struct trap_guard_port* port;

  if (explaining || !now || !(now->flags & TRAP_GUARD_ELSEWHERE))
    return 0;
  if (leaving & TRAP_LEAVES_UNREAD)
    return 1;
  port = bpf_map_lookup_elem(&ports, &number);
  return port && port->slot && !(port->flags & TRAP_PORT_SOCKETS);
}

static __always_inline int look_at_leaving(struct __sk_buff* skb, __u32 link_bytes) {
  __u32 leaving = read_word_of_leaving(skb, link_bytes);

  if (leaving != TRAP_LEAVES_OTHER && !is_answer(leaving) && is_read_whole(leaving))
    read_leaving(skb, link_bytes);
  if (is_answer(leaving) || (leaving & TRAP_LEAVES_UNREAD))
    return judge_answer(skb, link_bytes);
  return explaining ? explain(0, TRAP_PASS_OTHER) : TC_ACT_UNSPEC;
}
