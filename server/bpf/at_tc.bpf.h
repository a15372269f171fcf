/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ends of the walk at tc ingress (docs/adr/0045). A frame may lie in pieces, may be several
 * segments that were put together, and may have left its checksum to a device. It is written to
 * through helpers only: were it written to in place, the kernel would copy the head of each frame
 * that another namespace of this host sent, answered or not. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/checksum.h"
#include "dataplane/packet.h"
#include "server/bpf/handover.bpf.h"
#include "server/bpf/hook.bpf.h"
#include "server/bpf/reply.bpf.h"
#include "server/handover.h"

/* Entry 0: the program of server/bpf/assign.bpf.c that takes handovers. */
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(__u32));
} assigner SEC(".maps");

#define TRAP_GATHERED_BYTES 256 /* hold the headers of every packet that is answered */

/* Does the first piece hold the headers, as far as a look at the usual ones can tell? */
static __always_inline int headers_are_here(const __u8* data, const void* end) {
  const __u8* tcp = data + ETH_HLEN + sizeof(struct iphdr);
  __be16 type;

  if ((const void*)tcp > end)
    return 0;
  type = *(const __be16*)(data + 2 * ETH_ALEN);
  if (type == TRAP_BE16(ETH_P_IP)) {
    if (data[ETH_HLEN + 9] != IPPROTO_TCP)
      return 1;
    if (data[ETH_HLEN] != 0x45)
      return 0;
  } else if (type == TRAP_BE16(ETH_P_IPV6)) {
    if (trap_is_extension_header(data[ETH_HLEN + 6]))
      return 0;
    if (data[ETH_HLEN + 6] != IPPROTO_TCP)
      return 1;
    tcp = data + ETH_HLEN + sizeof(struct ipv6hdr);
  } else {
    return !trap_is_vlan_tag(type);
  }
  return (const void*)(tcp + sizeof(struct trap_tcp)) <= end &&
         (const void*)(tcp + (tcp[12] >> 4 << 2)) <= end;
}

TRAP_GLOBAL_FUNCTION int gather(struct __sk_buff* skb) {
  __u32 bytes = skb->len < TRAP_GATHERED_BYTES ? skb->len : TRAP_GATHERED_BYTES;

  if (headers_are_here((const void*)(long)skb->data, (const void*)(long)skb->data_end))
    return 0;
  return (int)bpf_skb_pull_data(skb, bytes);
}

/* The headers of a frame in pieces may not all be in its first; then they are brought there. */
static __always_inline void gather_headers(struct __sk_buff* skb) {
  __u64 bytes = (const __u8*)(long)skb->data_end - (const __u8*)(long)skb->data;

  TRAP_HOLD(bytes);
  if (bytes < skb->len && bytes < TRAP_GATHERED_BYTES)
    gather(skb);
}

/* Segments put together may be longer than their IP header can say, and say 0 (BIG TCP). They
 * belong to a connection: the network layers put nothing else together. */
static __always_inline int is_too_long_to_say(const struct __sk_buff* skb,
                                              enum trap_verdict defect) {
  return defect == TRAP_DROP_BAD_IP_HEADER && skb->gso_size;
}

struct tcp_words {
  __u32 words[15];
};

/* Has the sender left the checksum to a device, which then finds the sum of the pseudo-header
 * there? So it is between hosts of one kernel. The kernel does not say so itself, but says when it
 * has checked the sum. A right sum may happen to look like it, one in 65,536: without data it is
 * told apart. */
TRAP_GLOBAL_FUNCTION int checksum_is_left(struct __sk_buff* skb, const struct trap_packet* packet) {
  struct tcp_words tcp = {};
  __u64 sum, header_bytes;
  __u32 bytes;

  if (!packet)
    return 0;
  bytes = packet->l3_end - packet->l4_offset;
  sum = trap_sum_pseudo(&packet->source, &packet->destination, packet->family, bytes);
  header_bytes = packet->header_bytes;
  if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0 || bpf_csum_update(skb, 0) >= 0)
    return 0;
  TRAP_HOLD(header_bytes);
  if (header_bytes < sizeof(struct trap_tcp) || header_bytes > sizeof(tcp) ||
      bpf_skb_load_bytes(skb, packet->l4_offset & 0x3fff, &tcp, header_bytes))
    return 0;
  if (((const struct trap_tcp*)&tcp)->checksum != (__be16)~trap_sum_fold(sum))
    return 0;
  if (bytes != packet->header_bytes)
    return 1;
  for (int i = 0; i < 15; i++)
    sum += tcp.words[i];
  return trap_sum_fold(sum) != 0;
}

/* 0 on success. */
TRAP_GLOBAL_FUNCTION int store_ip_header(struct __sk_buff* skb, const struct trap_packet* request,
                                         const struct reply* reply) {
  union {
    struct iphdr ipv4;
    struct ipv6hdr ipv6;
  } ip = {};
  __u32 tcp_bytes;

  if (!request || !reply)
    return -1;
  tcp_bytes = sizeof(struct trap_tcp) + 4 * (__u32)reply->option_words;
  if (request->family == TRAP_IPV4) {
    write_ipv4(&ip.ipv4, &ip + 1, request, tcp_bytes, reply);
    return (int)bpf_skb_store_bytes(skb, request->l3_offset & 0x1f, &ip, sizeof(ip.ipv4), 0);
  }
  write_ipv6(&ip.ipv6, &ip + 1, request, tcp_bytes, reply);
  return (int)bpf_skb_store_bytes(skb, request->l3_offset & 0x1f, &ip, sizeof(ip.ipv6), 0);
}

/* The same of TCP's. A device that is to finish the checksum goes on from the sum of the
 * pseudo-header. */
TRAP_GLOBAL_FUNCTION int store_tcp_header(struct __sk_buff* skb, const struct trap_packet* request,
                                          const struct reply* reply, int leaves_checksum) {
  struct tcp_words words = {};
  struct trap_tcp* tcp = (struct trap_tcp*)&words;
  __u32 at;
  __u64 bytes;

  if (!request || !reply || write_tcp(tcp, &words + 1, request, reply))
    return -1;
  bytes = sizeof(*tcp) + 4 * (__u32)reply->option_words;
  if (leaves_checksum)
    tcp->checksum = (__be16)~trap_sum_fold(
        trap_sum_pseudo(&request->source, &request->destination, request->family, (__u32)bytes));
  at = (request->l3_offset & 0x1f) +
       (request->family == TRAP_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
  TRAP_HOLD(bytes);
  if (bytes > sizeof(words))
    return -1;
  return (int)bpf_skb_store_bytes(skb, at, &words, bytes, 0);
}

TRAP_GLOBAL_FUNCTION int swap_stored_addresses(struct __sk_buff* skb) {
  __u8 from[2 * ETH_ALEN];
  __u8 to[2 * ETH_ALEN];

  if (bpf_skb_load_bytes(skb, 0, from, sizeof(from)))
    return -1;
  __builtin_memcpy(to, from + ETH_ALEN, ETH_ALEN);
  __builtin_memcpy(to + ETH_ALEN, from, ETH_ALEN);
  return (int)bpf_skb_store_bytes(skb, 0, to, sizeof(to), 0);
}

/* Turns the frame of a request into the reply. The kernel lets no frame end before the place where
 * the request had its TCP header, and a device looks for it there: what the reply has not before
 * it, options and extension headers of IP, goes. The kernel takes the new length as the end of
 * several segments in one. 0 on success. */
static __always_inline int turn_into_reply_at_tc(struct __sk_buff* skb,
                                                 const struct trap_packet* request,
                                                 struct reply* reply) {
  __u32 ip_bytes = request->family == TRAP_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  int more = (int)(request->l4_offset - request->l3_offset - ip_bytes);
  int leaves_checksum = checksum_is_left(skb, request);

  reply->bytes_out = (__u16)reply_bytes(request, reply);
  if (more && bpf_skb_adjust_room(skb, -more, BPF_ADJ_ROOM_NET, 0))
    leaves_checksum = 0;
  return bpf_skb_change_tail(skb, reply->bytes_out, 0) || swap_stored_addresses(skb) ||
         store_ip_header(skb, request, reply) ||
         store_tcp_header(skb, request, reply, leaves_checksum);
}

/* Goes on in the program that makes a socket of the handover. Without that program the stack would
 * reset the client, so the packet is dropped, which the daemon sees by its counts. */
static __always_inline int call_assigner(struct __sk_buff* skb,
                                         const union trap_handover_words* handover) {
  skb->cb[0] = handover->words[0];
  skb->cb[1] = handover->words[1];
  skb->cb[2] = handover->words[2];
  skb->cb[3] = handover->words[3];
  skb->cb[4] = handover->words[4];
  bpf_tail_call(skb, &assigner, 0);
  return TC_ACT_SHOT;
}

/* Ends the walk of a packet with a right cookie, or right behind one. `again`: it has waited for
 * those that came with it. */
static __always_inline int hand_over_at_tc(struct __sk_buff* skb,
                                           const struct packet_context* context,
                                           enum trap_verdict verdict, int again) {
  union trap_handover_words handover = {};

  if (!context->service || !context->settings)
    return TC_ACT_UNSPEC;
  if (verdict == TRAP_PASS_COOKIE) {
    note_handover(context);
    watch_handover_at_tc(skb, &context->packet, context->slot, context->monotonic_ns,
                         context->flags & TRAP_SERVICE_ASSIGNS ? 0 : TRAP_WATCHED_KERNELS);
  }
  if (!(context->flags & TRAP_SERVICE_ASSIGNS))
    return TC_ACT_UNSPEC; /* the cookie is the kernel's */
  handover.handover.slot = (__u16)context->slot;
  if (verdict == TRAP_PASS_COOKIE) {
    describe_handover(context, &handover.handover, (const void*)(long)skb->data,
                      (const void*)(long)skb->data_end);
    count_handed_over(context->slot);
  } else {
    handover.handover.flags = TRAP_HANDOVER_FOLLOWS | (again ? TRAP_HANDOVER_WAITED : 0);
  }
  return call_assigner(skb, &handover);
}

/* Only the daemon's own test comes with a handover in front of it. */
static __always_inline const struct trap_handover* find_test(const struct __sk_buff* skb) {
  const __u8* metadata = (const void*)(long)skb->data_meta;
  const struct trap_handover* test = (const void*)(metadata + TRAP_HANDOVER_AT);

  if (metadata + TRAP_HANDOVER_METADATA_BYTES > (const __u8*)(long)skb->data ||
      test->mark != TRAP_HANDOVER_MARK)
    return NULL;
  return test;
}

/* It is to meet what comes behind this program. */
static __always_inline int take_test(struct __sk_buff* skb, const struct trap_handover* test) {
  union trap_handover_words handover = {};

  if (!(test->flags & TRAP_HANDOVER_TEST))
    return TC_ACT_UNSPEC;
  handover.handover = *test;
  return call_assigner(skb, &handover);
}

static __always_inline TRAP_MUST_USE int tc_action(const struct __sk_buff* skb,
                                                   enum trap_verdict verdict) {
  switch (trap_verdict_action(verdict)) {
  case TRAP_ACTION_PASS:
    return TC_ACT_UNSPEC; /* to the programs behind this one */
  case TRAP_ACTION_REPLY:
    return (int)bpf_redirect(skb->ifindex, 0);
  default:
    return TC_ACT_SHOT;
  }
}
