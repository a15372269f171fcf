/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Looks up a packet's connection in the host's stack. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/packet.h"

/* States as in linux/bpf.h and, for the last two, as the kernel's include/net/tcp_states.h has had
 * them since 4.1. */
#define TRAP_STATE_ESTABLISHED 1
#define TRAP_STATE_FIN_WAIT1 4
#define TRAP_STATE_FIN_WAIT2 5
#define TRAP_STATE_TIME_WAIT 6
#define TRAP_STATE_LAST_ACK 9
#define TRAP_STATE_LISTEN 10
#define TRAP_STATE_CLOSING 11
#define TRAP_STATE_NEW_SYN_RECV 12

/* The key of a connection in the stack, with addresses and ports as arriving packets have them;
 * returns its length. */
static __always_inline __u32 make_tuple(struct bpf_sock_tuple* tuple, __u32 family,
                                        const union trap_address* source, __be16 source_port,
                                        const union trap_address* destination,
                                        __be16 destination_port) {
  __builtin_memset(tuple, 0, sizeof(*tuple));
  if (family == TRAP_IPV4) {
    tuple->ipv4.saddr = source->be32[3];
    tuple->ipv4.daddr = destination->be32[3];
    tuple->ipv4.sport = source_port;
    tuple->ipv4.dport = destination_port;
    return sizeof(tuple->ipv4);
  }
  __builtin_memcpy(tuple->ipv6.saddr, source, 16);
  __builtin_memcpy(tuple->ipv6.daddr, destination, 16);
  tuple->ipv6.sport = source_port;
  tuple->ipv6.dport = destination_port;
  return sizeof(tuple->ipv6);
}

static __always_inline __u32 make_packet_tuple(struct bpf_sock_tuple* tuple,
                                               const struct trap_packet* packet) {
  return make_tuple(tuple, packet->family, &packet->source, packet->source_port,
                    &packet->destination, packet->destination_port);
}

/* The class of a state of the stack; 0: no socket. */
static __always_inline TRAP_MUST_USE enum trap_socket socket_of_state(__u32 state) {
  switch (state) {
  case 0:
    return note_socket(TRAP_SOCKET_NONE);
  case TRAP_STATE_LISTEN:
    return note_socket(TRAP_SOCKET_LISTENS);
  case TRAP_STATE_NEW_SYN_RECV:
    return note_socket(TRAP_SOCKET_OPENS);
  case TRAP_STATE_TIME_WAIT:
    return note_socket(TRAP_SOCKET_LINGERS);
  default:
    return note_socket(TRAP_SOCKET_LIVES);
  }
}

/* In the network namespace of the interface. The stack does two hash lookups: connection, then
 * listener. */
static __always_inline TRAP_MUST_USE enum trap_socket
find_socket_by(void* ctx, struct bpf_sock_tuple* tuple, __u32 bytes) {
  struct bpf_sock* socket = bpf_skc_lookup_tcp(ctx, tuple, bytes, BPF_F_CURRENT_NETNS, 0);
  __u32 state;

  if (!socket)
    return socket_of_state(0);
  state = socket->state;
  bpf_sk_release(socket);
  return socket_of_state(state);
}

/* The socket that a packet is for. */
static __always_inline TRAP_MUST_USE enum trap_socket
find_socket(void* ctx, const struct trap_packet* packet) {
  struct bpf_sock_tuple tuple;
  __u32 bytes = make_packet_tuple(&tuple, packet);

  return find_socket_by(ctx, &tuple, bytes);
}
