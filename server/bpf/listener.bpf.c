/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Looks at the socket that a segment is for: a listener or a connection. Attached nowhere: the
 * daemon runs it by itself, once a second for each listener, and for each handshake of the sample
 * (server/daemon/serving/listener_inspector.h). */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/bpf/socket.bpf.h"
#include "dataplane/packet.h"
#include "server/bpf/listener.bpf.h"
#include "server/handover.h"

/* Returns a set of TRAP_LISTENER_..., the listener's mark as that of the packet, and of its queue,
 * in cb, the length that it may have and the packets that were dropped. */
SEC("tc")
int trap_listener(struct __sk_buff* skb) {
  struct trap_packet packet = {};
  struct bpf_sock_tuple tuple;
  struct bpf_sock* found;
  struct tcp_sock* listener;
  __u32 bytes;
  int facts = 0;

  if (trap_read_frame(&packet, (const void*)(long)skb->data, (const void*)(long)skb->data_end) !=
      TRAP_LAYER_TCP)
    return 0;
  bytes = make_packet_tuple(&tuple, &packet);
  found = bpf_skc_lookup_tcp(skb, &tuple, bytes, BPF_F_CURRENT_NETNS, 0);
  if (!found)
    return 0;
  if (found->state == TRAP_STATE_LISTEN) {
    listener = (struct tcp_sock*)bpf_skc_to_tcp_sock(found);
    if (listener) {
      facts = TRAP_LISTENER_FOUND;
      if (is_multipath(listener))
        facts |= TRAP_LISTENER_MULTIPATH;
      if (has_signatures(listener))
        facts |= TRAP_LISTENER_SIGNATURES;
      skb->mark = mark_of(listener);
      if (wants_near_clients(listener))
        facts |= TRAP_LISTENER_NEAR;
      if (is_full(listener))
        facts |= TRAP_LISTENER_FULL;
      if (shares_address(listener))
        facts |= TRAP_LISTENER_SHARES;
      skb->cb[0] = room_of(listener);
      skb->cb[1] = drops_of(listener);
    }
  } else {
    facts = TRAP_LISTENER_CONNECTION;
  }
  bpf_sk_release(found);
  return facts;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
