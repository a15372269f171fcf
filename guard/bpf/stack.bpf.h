/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Questions to the host's stack about the socket of a flow, by the kernel's own fields. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "dataplane/bpf/socket.bpf.h"
#include "dataplane/verifier.h"
#include "guard/maps.h"

/* A connection that the stack is opening. */
struct tcp_request_sock {
  __u32 snt_isn; /* of the SYN-ACK */
} __attribute__((preserve_access_index));

struct tcp_sock {
  __u32 rcv_nxt;
} __attribute__((preserve_access_index));

/* What the stack says of a flow's socket. */
union asked {
  struct {
    __u32 state;  /* 0: there is none */
    __u32 number; /* host byte order. TRAP_STATE_NEW_SYN_RECV: our ISN; of one that lives: the
                     number that it expects next; else 0 */
  };
  __u64 word;
};

/* union asked, as a word. A function by itself, because a flood seldom comes to it. */
TRAP_GLOBAL_FUNCTION __u64 ask_stack(struct xdp_md* ctx, const struct trap_flow_key* key) {
  struct bpf_sock_tuple tuple;
  union trap_address client, service;
  union asked asked = {};
  struct bpf_sock* socket;
  __u32 bytes, family;

  if (!key)
    return 0;
  client = key->client;
  service = key->service;
  /* packets of IPv6 have no IPv4-mapped address here */
  family = trap_address_is_v4(&client) ? TRAP_IPV4 : TRAP_IPV6;
  bytes = make_tuple(&tuple, family, &client, key->client_port, &service, key->service_port);
  socket = bpf_skc_lookup_tcp(ctx, &tuple, bytes, BPF_F_CURRENT_NETNS, 0);
  if (!socket)
    return 0;
  asked.state = socket->state;
  if (asked.state == TRAP_STATE_NEW_SYN_RECV) {
    struct tcp_request_sock* request = (void*)bpf_skc_to_tcp_request_sock(socket);

    if (request)
      asked.number = request->snt_isn;
  } else if (asked.state != TRAP_STATE_TIME_WAIT) {
    struct tcp_sock* live = (void*)bpf_skc_to_tcp_sock(socket);

    if (live)
      asked.number = live->rcv_nxt;
  }
  bpf_sk_release(socket);
  return asked.word;
}

/* 1 if the stack has a connection of the flow, nothing else of it: all that a flood of segments
 * asks. */
static __always_inline int has_connection(struct xdp_md* ctx, const struct trap_flow_key* key) {
  struct bpf_sock_tuple tuple;
  __u32 bytes;

  if (!key)
    return 0;
  bytes = make_tuple(&tuple, trap_address_is_v4(&key->client) ? TRAP_IPV4 : TRAP_IPV6, &key->client,
                     key->client_port, &key->service, key->service_port);
  return trap_socket_is_connection(find_socket_by(ctx, &tuple, bytes));
}
