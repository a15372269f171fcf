/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-server at tc ingress, behind its XDP program: makes the request socket of a completed
 * handshake (server/bpf/handover.bpf.h), from which the stack opens the connection. All other
 * packets pass untouched. For Linux 6.9 and later; on older kernels the daemon does not load it. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/bpf/socket.bpf.h"
#include "dataplane/packet.h"
#include "server/handover.h"

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

/* Opaque, but defined: libbpf 1.1 considers a struct that is only declared incompatible with the
 * kernel's. */
struct sock {
  __u8 opaque;
};

extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff* skb, struct sock* listener,
                                   struct bpf_tcp_req_attrs* attrs, int attrs__sz) __ksym;

static __always_inline struct bpf_tcp_req_attrs attrs_of(const struct trap_handover* handover) {
  struct bpf_tcp_req_attrs attrs = {
      .mss = handover->mss,
      .tstamp_ok = !!(handover->flags & TRAP_HANDOVER_TIMESTAMPS),
      .sack_ok = !!(handover->flags & TRAP_HANDOVER_SACK),
      .wscale_ok = !!(handover->flags & TRAP_HANDOVER_SCALES),
      .rcv_tsval = handover->timestamp,
      .rcv_tsecr = handover->echo,
      .snd_wscale = handover->client_window_scale,
      .rcv_wscale = handover->server_window_scale,
  };

  return attrs;
}

/* Gives the packet to the service's listener with a request socket. 0 on success. */
static __always_inline int assign(struct __sk_buff* skb, const struct trap_packet* packet,
                                  struct bpf_tcp_req_attrs* attrs) {
  struct bpf_sock_tuple tuple;
  __u32 bytes = make_packet_tuple(&tuple, packet);
  struct bpf_sock* found = bpf_skc_lookup_tcp(skb, &tuple, bytes, BPF_F_CURRENT_NETNS, 0);
  struct sock* listener;
  int failed = -1;

  if (!found)
    return -1;
  if (found->state == TRAP_STATE_LISTEN) {
    listener = (struct sock*)bpf_skc_to_tcp_sock(found);
    if (listener)
      failed = bpf_sk_assign_tcp_reqsk(skb, listener, attrs, sizeof(*attrs));
  }
  bpf_sk_release(found);
  return failed;
}

SEC("tc")
int trap_server_assign(struct __sk_buff* skb) {
  const struct trap_handover* handover = (const void*)(long)skb->data_meta;
  const void* data = (const void*)(long)skb->data;
  struct trap_packet packet = {};
  struct bpf_tcp_req_attrs attrs;

  if ((const void*)(handover + 1) > data || handover->mark != TRAP_HANDOVER_MARK)
    return TC_ACT_UNSPEC;
  attrs = attrs_of(handover);
  if (trap_read_frame(&packet, data, (const void*)(long)skb->data_end) != TRAP_LAYER_TCP)
    return TC_ACT_UNSPEC;
  assign(skb, &packet, &attrs); /* if it fails, the listener has just gone: the stack decides */
  return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
