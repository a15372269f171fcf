/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Places on the wire: each connection to a backend has one of its own, and none takes that of a
 * connection that lives. Where the local port is in use towards that backend, another port stands
 * for it (docs/adr/0033-lanes.md). */
#pragma once

#include "client/bpf/flow.bpf.h"
#include "client/bpf/pending.bpf.h"
#include "dataplane/bpf/socket.bpf.h"

#define TRAP_FIRST_LANE_PORT 1024 /* lower ports may mean something to filters */

static __always_inline enum trap_socket
find_local_socket(struct __sk_buff* skb, __u32 family, const union trap_address* remote,
                  __be16 remote_port, const union trap_address* local, __be16 local_port) {
  struct scratch* memory = find_scratch();
  __u32 bytes;

  if (!memory)
    return TRAP_SOCKET_NONE;
  bytes = make_tuple(&memory->search.socket, family, remote, remote_port, local, local_port);
  return find_socket_by(skb, &memory->search.socket, bytes);
}

/* Is the socket of the connect memory->tuple among those that a program can look up? A container
 * upon this interface (macvlan, ipvlan) has its own address, and its sockets in a network namespace
 * of its own: of its other connections no socket tells either. */
TRAP_GLOBAL_FUNCTION int sees_sockets(struct __sk_buff* skb, __u32 family) {
  struct scratch* memory = find_scratch();
  const struct trap_tuple* tuple;

  if (!memory)
    return 0;
  tuple = &memory->tuple;
  return tuple->side == TRAP_SIDE_HOST &&
         find_local_socket(skb, family, &tuple->remote, tuple->remote_port, &tuple->local,
                           tuple->local_port) != TRAP_SOCKET_NONE;
}

/* Does the connection live whose place on the wire this is? A socket of this host says so; others
 * keep their places until they are evicted. */
static TRAP_SUBPROGRAM int is_alive(struct __sk_buff* skb, __u32 family,
                                    const struct trap_tuple* wire,
                                    const struct trap_inward* inward) {
  __be16 local_port = trap_lane_port(wire->local_port, trap_lane(inward->flags));
  enum trap_socket socket;

  if (wire->side == TRAP_SIDE_LAN || inward->flags & TRAP_FLOW_FORWARDED)
    return 1;
  socket = find_local_socket(skb, family, &inward->service, inward->port, &wire->local, local_port);
  return socket == TRAP_SOCKET_LIVES || socket == TRAP_SOCKET_OPENS;
}

/* Has a socket of this host that dialled the backend itself this place on the wire? */
static __always_inline int has_direct_socket(struct __sk_buff* skb, __u32 family,
                                             const struct trap_tuple* wire) {
  enum trap_socket socket = find_local_socket(skb, family, &wire->remote, wire->remote_port,
                                              &wire->local, wire->local_port);

  return socket != TRAP_SOCKET_NONE && socket != TRAP_SOCKET_LISTENS;
}

/* The same where no socket tells: was a SYN seen that dialled the backend itself from there? */
static __always_inline int was_dialled(struct __sk_buff* skb, __u32 family,
                                       const struct search* search) {
  return !(search->mine.flags & TRAP_FLOW_FORWARDED) && find_pending(&search->tuple) &&
         !sees_sockets(skb, family);
}

#define TRAP_TAKE_FOUND 1u /* a connection of search->found has the place */
#define TRAP_TAKE_OVER 2u  /* take it if that connection is over */

/* Takes the place search->tuple for the connection search->mine, if it is free or the connection's
 * already. Returns 1 if it is taken. */
static TRAP_SUBPROGRAM int take(struct __sk_buff* skb, struct search* search, __u32 family,
                                __u32 how) {
  if (how & TRAP_TAKE_FOUND) {
    if (is_same_connection(&search->found, &search->mine))
      return 1;
    if (!(how & TRAP_TAKE_OVER) ||
        (!(search->mine.flags & TRAP_FLOW_FORWARDED) && !sees_sockets(skb, family)) ||
        is_alive(skb, family, &search->tuple, &search->found))
      return 0;
    forget(&to_public, &search->tuple);
  } else if (search->tuple.side == TRAP_SIDE_HOST &&
             has_direct_socket(skb, family, &search->tuple)) {
    return 0;
  } else if (!(how & TRAP_TAKE_OVER) && was_dialled(skb, family, search)) {
    return 0;
  }
  return !store(&to_public, &search->tuple, &search->mine, BPF_NOEXIST);
}

/* The lane to try as number `i`: that at hand; then those whose ports lie below the usual range of
 * local ports; then the others. */
static __always_inline __u8 lane_to_try(__u8 first, __u32 i) {
  __u32 step = i == 0 ? 0 : i <= TRAP_LANES / 2 ? i + TRAP_LANES / 2 - 1 : i - TRAP_LANES / 2;

  return (first ^ step << 4) & TRAP_FLOW_LANE;
}

/* Takes the place of the lane in memory->outward for the connection memory->tuple. Returns 1 if it
 * is taken. */
TRAP_GLOBAL_FUNCTION int take_lane(struct __sk_buff* skb, __u32 family, __u32 how) {
  struct scratch* memory = find_scratch();

  if (!memory)
    return 0;
  look_from_service_side(&memory->search, &memory->tuple, &memory->outward);
  if (trap_lane(memory->outward.flags) &&
      TRAP_FROM_BE16(memory->search.tuple.local_port) < TRAP_FIRST_LANE_PORT)
    return 0;
  if (find_inward(skb, &memory->search.tuple, family, &memory->search.found))
    how |= TRAP_TAKE_FOUND;
  return take(skb, &memory->search, family, how);
}

/* Takes a place on the wire for the connection memory->tuple: that of the lane in memory->outward
 * if it can have it. A place whose connection is over is left alone while another is free: late
 * segments may be on their way to it, and the backend may remember its numbers. 0 on success. */
TRAP_GLOBAL_FUNCTION int take_place(struct __sk_buff* skb, __u32 family) {
  struct scratch* memory = find_scratch();
  __u8 first, others;
  __u32 i = 0;

  if (!memory)
    return -1;
  first = memory->outward.flags & TRAP_FLOW_LANE;
  others = memory->outward.flags & ~TRAP_FLOW_LANE;
  do {
    memory->outward.flags = others | lane_to_try(first, i % TRAP_LANES);
    if (take_lane(skb, family, i < TRAP_LANES ? 0 : TRAP_TAKE_OVER))
      return 0;
    i++;
    TRAP_HOLD(i);
  } while (i < 2 * TRAP_LANES);
  return -1;
}

/* Stores both directions of the connection memory->tuple, which goes where memory->outward says and
 * gets a place on the wire. 0 on success. */
TRAP_GLOBAL_FUNCTION int store_flow(struct __sk_buff* skb, __u32 family) {
  struct scratch* memory = find_scratch();
  const struct trap_outward* before;
  struct trap_outward* outward;
  struct trap_tuple* tuple;

  if (!memory)
    return -1;
  tuple = &memory->tuple;
  outward = &memory->outward;
  before = bpf_map_lookup_elem(&to_backend, tuple);
  if (before && before->port == outward->port &&
      trap_address_equal(&before->backend, &outward->backend))
    outward->flags |= before->flags & TRAP_FLOW_LANE;
  else if (before)
    give_place_back(tuple, before);
  if (take_place(skb, family))
    return -1;
  note_origin(tuple, outward);
  note_remote(&tuple->remote, tuple->remote_port);
  note_remote(&outward->backend, outward->port);
  if (!store(&to_backend, tuple, outward, BPF_ANY))
    return 0;
  give_place_back(tuple, outward);
  return -1;
}
