/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-server at tc ingress, behind its XDP program or called by the one at tc: makes the request
 * socket of a completed handshake (server/bpf/handover.bpf.h), from which the stack opens the
 * connection. All other packets pass untouched. For Linux 6.9 and later; on older kernels the
 * daemon does not load it. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/bpf/socket.bpf.h"
#include "dataplane/packet.h"
#include "server/bpf/listener.bpf.h"
#include "server/handover.h"
#include "server/maps.h"

/* As the kernel's include/net/tcp.h has it since 6.9. */
struct bpf_tcp_req_attrs {
  __u32 rcv_tsval;
  __u32 rcv_tsecr;
  __u16 mss;
  __u8 rcv_wscale;
  __u8 snd_wscale;
  __u8 ecn_ok;
  __u8 wscale_ok;
  __u8 sack_ok;
  __u8 tstamp_ok;
  __u8 usec_ts_ok;
  __u8 reserved[3];
};

extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff* skb, struct sock* listener,
                                   struct bpf_tcp_req_attrs* attrs, int attrs__sz) __ksym;

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TRAP_SERVER_MAX_SERVICES* TRAP_ASSIGNMENT_SLOTS);
  __type(key, __u32);
  __type(value, __u64);
} assignments SEC(".maps");

static __always_inline void count_assignment(__u32 slot, enum trap_assignment result) {
  __u32 index = slot * TRAP_ASSIGNMENT_SLOTS + result;
  __u64* count = bpf_map_lookup_elem(&assignments, &index);

  if (count)
    (*count)++;
}

/* Ethernet's header where the frame has one at tc; else it is in front of the frame, see
 * TRAP_HANDOVER_AT. */
struct frame {
  struct trap_handover handover;
  __u8 has_header;
  __u8 header[ETH_HLEN];
};

/* Finds the handover of a packet. 0 if it has none. */
static __always_inline int find_handover(const struct __sk_buff* skb, struct frame* frame) {
  const __u8* metadata = (const void*)(long)skb->data_meta;
  const struct trap_handover* shifted = (const void*)metadata;
  const struct trap_handover* usual = (const void*)(metadata + TRAP_HANDOVER_AT);

  if (metadata + TRAP_HANDOVER_METADATA_BYTES > (const __u8*)(long)skb->data)
    return 0;
  if (usual->mark == TRAP_HANDOVER_MARK) {
    frame->handover = *usual;
    frame->has_header = 1;
    return 1;
  }
  if (shifted->mark != TRAP_HANDOVER_MARK)
    return 0;
  frame->handover = *shifted;
  __builtin_memcpy(frame->header, metadata + sizeof(*shifted), ETH_HLEN);
  return 1;
}

static __always_inline struct bpf_tcp_req_attrs attrs_of(const struct trap_handover* handover) {
  struct bpf_tcp_req_attrs attrs = {
      .mss = handover->mss,
      .tstamp_ok = !!(handover->flags & TRAP_HANDOVER_TIMESTAMPS),
      .sack_ok = !!(handover->flags & TRAP_HANDOVER_SACK),
      .ecn_ok = !!(handover->flags & TRAP_HANDOVER_ECN),
      .wscale_ok = !!(handover->flags & TRAP_HANDOVER_SCALES),
      .rcv_tsval = handover->timestamp,
      .rcv_tsecr = handover->echo,
      .snd_wscale = handover->window_scales & 15,
      .rcv_wscale = handover->window_scales >> 4,
  };

  return attrs;
}

static __always_inline enum trap_assignment result_of(long error) {
  switch (error) {
  case 0:
    return TRAP_ASSIGNMENT_MADE;
  case -12: /* ENOMEM */
    return TRAP_ASSIGNMENT_NO_MEMORY;
  case -101: /* ENETUNREACH */
    return TRAP_ASSIGNMENT_ELSEWHERE;
  default:
    return TRAP_ASSIGNMENT_REFUSED;
  }
}

#define TRAP_EINVAL (-22)

/* The least that the kernel takes: for IPv4 (RFC 9293 3.7.1), for IPv6 1280 (RFC 8200 5) - 60. */
#define TRAP_ASSIGN_MSS_V4 536
#define TRAP_ASSIGN_MSS_V6 1220

/* The kernel takes no socket for a packet whose protocol is a tag, as behind the first of two,
 * which is in metadata by now. So that one goes for a moment. */
static __always_inline long assign_request(struct __sk_buff* skb, struct tcp_sock* listener,
                                           struct bpf_tcp_req_attrs* attrs, int has_header) {
  __be16 type = (__be16)skb->vlan_proto;
  __u16 tag = (__u16)skb->vlan_tci;
  int has_two = has_header && skb->vlan_present && trap_is_vlan_tag((__be16)skb->protocol);
  long error;

  if (has_two && bpf_skb_vlan_pop(skb))
    return TRAP_EINVAL;
  error = bpf_sk_assign_tcp_reqsk(skb, (struct sock*)listener, attrs, sizeof(*attrs));
  if (has_two && bpf_skb_vlan_push(skb, type, tag))
    return TRAP_EINVAL;
  return error;
}

static __always_inline enum trap_assignment assign_to(struct __sk_buff* skb,
                                                      const struct trap_packet* packet,
                                                      struct tcp_sock* listener,
                                                      const struct frame* frame) {
  const struct trap_handover* handover = &frame->handover;
  struct bpf_tcp_req_attrs attrs = attrs_of(handover);
  __u32 least_mss = packet->family == TRAP_IPV6 ? TRAP_ASSIGN_MSS_V6 : TRAP_ASSIGN_MSS_V4;

  if (handover->flags & TRAP_HANDOVER_FOLLOWS)
    return TRAP_ASSIGNMENT_LEFT_BEHIND;
  if (is_multipath(listener))
    return TRAP_ASSIGNMENT_MPTCP;
  /* as the stack does with the SYN's; but for less than this it refuses the connection */
  if (longest_segment(listener) && longest_segment(listener) < attrs.mss)
    attrs.mss =
        (__u16)(longest_segment(listener) > least_mss ? longest_segment(listener) : least_mss);
  return result_of(assign_request(skb, listener, &attrs, frame->has_header));
}

/* The daemon's listener takes a connection with the service's address and port, as one of a
 * transparent proxy does. So a test goes the whole way, and the service does not notice. */
static __always_inline void lead_to_loopback(struct bpf_sock_tuple* tuple,
                                             const struct trap_packet* packet, __u32 port) {
  if (packet->family == TRAP_IPV4) {
    tuple->ipv4.daddr = TRAP_BE32(0x7f000001);
    tuple->ipv4.dport = TRAP_BE16((__u16)port);
    return;
  }
  tuple->ipv6.daddr[0] = tuple->ipv6.daddr[1] = tuple->ipv6.daddr[2] = 0;
  tuple->ipv6.daddr[3] = TRAP_BE32(1);
  tuple->ipv6.dport = TRAP_BE16((__u16)port);
}

/* Gives the packet to the service's listener with a request socket, unless its connection is there
 * already. */
static __always_inline enum trap_assignment
assign(struct __sk_buff* skb, const struct trap_packet* packet, const struct frame* frame) {
  enum trap_assignment result = TRAP_ASSIGNMENT_JOINED;
  struct bpf_sock_tuple tuple;
  __u32 bytes = make_packet_tuple(&tuple, packet);
  struct bpf_sock* found;
  struct tcp_sock* listener;

  if (frame->handover.flags & TRAP_HANDOVER_TEST)
    lead_to_loopback(&tuple, packet, frame->handover.timestamp);
  found = bpf_skc_lookup_tcp(skb, &tuple, bytes, BPF_F_CURRENT_NETNS, 0);
  if (!found)
    return TRAP_ASSIGNMENT_NO_LISTENER;
  if (found->state == TRAP_STATE_LISTEN) {
    listener = (struct tcp_sock*)bpf_skc_to_tcp_sock(found);
    result = listener ? assign_to(skb, packet, listener, frame) : TRAP_ASSIGNMENT_REFUSED;
  }
  bpf_sk_release(found);
  return result;
}

/* One poll may bring the completing ACK and the first data, as a list, of which this program sees
 * all before TCP sees the first. Data that passed on at once would need a request socket too, which
 * costs the client a retransmission; or they would be reset, if the listener's queue had no room
 * for the connection. So they wait until all that came with them are through. */
static __always_inline int wait_for_the_ack(struct __sk_buff* skb, const struct frame* frame) {
  count_assignment(frame->handover.slot, TRAP_ASSIGNMENT_WAITED);
  if (!frame->has_header && (bpf_skb_change_head(skb, ETH_HLEN, 0) ||
                             bpf_skb_store_bytes(skb, 0, frame->header, ETH_HLEN, 0)))
    return TC_ACT_SHOT; /* the client will send it again */
  skb->tc_index = TRAP_AGAIN;
  return (int)bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/* A packet with a handover. */
static __always_inline int take(struct __sk_buff* skb, const struct frame* frame) {
  const void* data = (const void*)(long)skb->data;
  const void* end = (const void*)(long)skb->data_end;
  struct trap_packet packet = {};
  enum trap_assignment result = TRAP_ASSIGNMENT_UNREADABLE;

  if ((frame->has_header ? trap_read_frame(&packet, data, end)
                         : trap_read_ip(&packet, data, end)) == TRAP_LAYER_TCP)
    result = assign(skb, &packet, frame);
  count_assignment(frame->handover.slot, result);
  return result == TRAP_ASSIGNMENT_LEFT_BEHIND ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int trap_server_assign(struct __sk_buff* skb) {
  struct frame frame = {};

  if (!find_handover(skb, &frame))
    return TC_ACT_UNSPEC;
  if (skb->tc_index == TRAP_AGAIN)
    skb->tc_index = 0;
  else if (frame.handover.flags & TRAP_HANDOVER_FOLLOWS)
    return wait_for_the_ack(skb, &frame);
  return take(skb, &frame);
}

/* The same for trap-server at tc, whose program calls this one (server/bpf/at_tc.bpf.h). */
SEC("tc")
int trap_server_take(struct __sk_buff* skb) {
  struct frame frame = {.has_header = 1};
  union trap_handover_words handover;

  handover.words[0] = skb->cb[0];
  handover.words[1] = skb->cb[1];
  handover.words[2] = skb->cb[2];
  handover.words[3] = skb->cb[3];
  handover.words[4] = skb->cb[4];
  frame.handover = handover.handover;
  if (handover.handover.flags & TRAP_HANDOVER_FOLLOWS &&
      !(handover.handover.flags & TRAP_HANDOVER_WAITED))
    return wait_for_the_ack(skb, &frame);
  return take(skb, &frame);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
