/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Redirected connections. Hash tables hold both directions and lose the least recently used entries
 * first; a connection of this host is noted in its socket too, and is found there for as long as
 * the socket lives (docs/adr/0020-flows-live-in-sockets.md). */
#pragma once

#include "client/bpf/scratch.bpf.h"
#include "dataplane/bpf/socket.bpf.h"

static const struct trap_origins no_origins = {};

/* The connection that has a place on the wire, as its application knows it. */
static __always_inline struct trap_tuple socket_side_tuple(const struct trap_tuple* wire,
                                                           const struct trap_inward* inward) {
  struct trap_tuple tuple = *wire;

  tuple.remote = inward->service;
  tuple.remote_port = inward->port;
  tuple.local_port = trap_lane_port(wire->local_port, trap_lane(inward->flags));
  return tuple;
}

static __always_inline struct trap_origin_key*
origin_key(struct search* search, const union trap_address* backend, __be16 port) {
  __builtin_memset(&search->origin, 0, sizeof(search->origin));
  search->origin.backend = *backend;
  search->origin.port = port;
  return &search->origin;
}

/* Did the application dial the backend itself? Then its local port alone is translated. */
static __always_inline int is_direct(const struct trap_tuple* tuple,
                                     const struct trap_outward* outward) {
  return tuple->remote_port == outward->port &&
         trap_address_equal(&tuple->remote, &outward->backend);
}

/* Notes that the service dialled in `tuple` is at the backend of `outward`, and the lane. */
static TRAP_SUBPROGRAM int note_origin(const struct trap_tuple* tuple,
                                       const struct trap_outward* outward) {
  __u32 lane = trap_lane(outward->flags);
  struct scratch* memory = find_scratch();
  struct trap_origin_key* key;
  struct trap_origins* known;
  struct trap_inward* place;

  if (!memory)
    return 0;
  key = origin_key(&memory->search, &outward->backend, outward->port);
  known = bpf_map_lookup_elem(&origins, key);
  if (!known) {
    store(&origins, key, &no_origins, BPF_NOEXIST);
    known = bpf_map_lookup_elem(&origins, key);
  }
  if (!known || explaining)
    return 0;
  if (lane)
    __sync_fetch_and_or(&known->lanes, 1u << lane);
  if (is_direct(tuple, outward))
    return 0;
  for (int i = 0; i < TRAP_ORIGINS; i++) {
    if (known->services[i].port == tuple->remote_port &&
        trap_address_equal(&known->services[i].service, &tuple->remote))
      return 0;
  }
  place = &known->services[known->next % TRAP_ORIGINS];
  known->next++;
  place->service = tuple->remote;
  place->port = tuple->remote_port;
  return 0;
}

static __always_inline __u64* word_of_remote(__u32 bit) {
  __u32 zero = 0;
  __u64 word = bit / 64 & (TRAP_REMOTE_BITS / 64 - 1);
  struct trap_remotes* known = bpf_map_lookup_elem(&remotes, &zero);

  TRAP_HOLD(word);
  return known ? &known->words[word & (TRAP_REMOTE_BITS / 64 - 1)] : NULL;
}

/* 0 if no connection was ever redirected from or to there. */
static __always_inline int may_be_redirected(const union trap_address* remote, __be16 port) {
  __u32 bit = trap_remote_bit(remote, port);
  const __u64* word = word_of_remote(bit);

  return !word || *word >> bit % 64 & 1;
}

static __always_inline void note_remote(const union trap_address* remote, __be16 port) {
  __u32 bit = trap_remote_bit(remote, port);
  __u64* word = word_of_remote(bit);

  if (word && !explaining && !(*word >> bit % 64 & 1))
    __sync_fetch_and_or(word, 1ULL << bit % 64);
}

static __always_inline int is_same_connection(const struct trap_inward* one,
                                              const struct trap_inward* other) {
  return one->port == other->port && one->flags == other->flags &&
         trap_address_equal(&one->service, &other->service);
}

/* Do the connection's packets need the link-layer address of another next hop? None is needed where
 * the interface has no link layer: the connection may have moved there. */
static __always_inline int is_via_neighbour(const struct packet_context* context,
                                            const struct trap_outward* outward) {
  return outward->flags & TRAP_FLOW_VIA_NEIGHBOUR && context->framing == TRAP_FRAMING_ETHERNET;
}

/* Puts the connection's place on the wire, and what is to be known of it there, into the search;
 * field by field, because a whole struct would go by the stack. */
static __always_inline void look_from_service_side(struct search* search,
                                                   const struct trap_tuple* tuple,
                                                   const struct trap_outward* outward) {
  search->tuple = *tuple;
  search->tuple.remote = outward->backend;
  search->tuple.remote_port = outward->port;
  search->tuple.local_port = trap_lane_port(tuple->local_port, trap_lane(outward->flags));
  __builtin_memset(&search->mine, 0, sizeof(search->mine));
  search->mine.service = tuple->remote;
  search->mine.port = tuple->remote_port;
  search->mine.flags = outward->flags & (TRAP_FLOW_FORWARDED | TRAP_FLOW_LANE);
}

/* Gives the connection's place on the wire back, unless it is another's by now. */
static __always_inline void give_place_back(const struct trap_tuple* tuple,
                                            const struct trap_outward* outward) {
  struct scratch* memory = find_scratch();
  const struct trap_inward* known;

  if (!memory)
    return;
  look_from_service_side(&memory->search, tuple, outward);
  known = bpf_map_lookup_elem(&to_public, &memory->search.tuple);
  if (known && is_same_connection(known, &memory->search.mine))
    forget(&to_public, &memory->search.tuple);
}

static __always_inline void forget_flow(const struct trap_tuple* tuple,
                                        const struct trap_outward* outward) {
  give_place_back(tuple, outward);
  forget(&to_backend, tuple);
}

/* The socket that sent this packet, if it is that of the packet's connection: other sockets send
 * resets, and the acknowledgements of TIME_WAIT. */
static __always_inline struct bpf_sock* sending_socket(struct __sk_buff* skb,
                                                       const struct trap_tuple* tuple) {
  struct bpf_sock* socket = skb->sk;

  if (!socket)
    return NULL;
  socket = bpf_sk_fullsock(socket);
  if (!socket || socket->src_port != TRAP_FROM_BE16(tuple->local_port) ||
      socket->dst_port != tuple->remote_port)
    return NULL;
  return socket;
}

static __always_inline int is_of_service(const struct trap_translation* translation,
                                         const union trap_address* service, __be16 port) {
  return translation->service_port == port && trap_address_equal(&translation->service, service);
}

static __always_inline struct trap_outward outward_of(const struct trap_translation* translation) {
  struct trap_outward outward = {.backend = translation->backend,
                                 .port = translation->backend_port,
                                 .flags = translation->flags};
  return outward;
}

/* Notes in the socket, unless it is there, where its connection goes. */
static __always_inline void keep_in_socket(struct bpf_sock* socket, const struct trap_tuple* tuple,
                                           const struct trap_outward* outward) {
  struct trap_translation translation = {.service = tuple->remote,
                                         .backend = outward->backend,
                                         .service_port = tuple->remote_port,
                                         .backend_port = outward->port,
                                         .flags = outward->flags &
                                                  (TRAP_FLOW_VIA_NEIGHBOUR | TRAP_FLOW_LANE)};

  if (!explaining)
    bpf_sk_storage_get(&translations, socket, &translation, BPF_SK_STORAGE_GET_F_CREATE);
}

/* The socket dials again, perhaps another address. */
static __always_inline void forget_in_socket(struct __sk_buff* skb,
                                             const struct trap_tuple* tuple) {
  struct bpf_sock* socket = sending_socket(skb, tuple);

  if (socket && !explaining)
    bpf_sk_storage_delete(&translations, socket);
}

/* Copies the note in the socket that dialled `service` from `local`. 0 if there is none. */
static __always_inline int read_from_socket(struct __sk_buff* skb, __u32 family,
                                            const union trap_address* service, __be16 service_port,
                                            const union trap_address* local, __be16 local_port,
                                            struct trap_outward* outward) {
  const struct trap_translation* translation;
  struct scratch* memory = find_scratch();
  struct bpf_sock* socket;
  __u32 bytes;
  int found;

  if (!memory)
    return 0;
  bytes = make_tuple(&memory->search.socket, family, service, service_port, local, local_port);
  socket = bpf_skc_lookup_tcp(skb, &memory->search.socket, bytes, BPF_F_CURRENT_NETNS, 0);
  if (!socket)
    return 0;
  translation = bpf_sk_storage_get(&translations, socket, NULL, 0);
  found = translation && is_of_service(translation, service, service_port);
  if (found)
    *outward = outward_of(translation);
  bpf_sk_release(socket);
  return found;
}

/* Finds the backend of a segment. 0 if its connection was not redirected. */
static __always_inline int find_outward(struct __sk_buff* skb, const struct trap_packet* packet,
                                        const struct trap_tuple* tuple,
                                        struct trap_outward* outward) {
  struct bpf_sock* socket = sending_socket(skb, tuple);
  const struct trap_translation* translation =
      socket ? bpf_sk_storage_get(&translations, socket, NULL, 0) : NULL;
  const struct trap_outward* known;

  if (translation && is_of_service(translation, &tuple->remote, tuple->remote_port)) {
    *outward = outward_of(translation);
    return 1;
  }
  known = bpf_map_lookup_elem(&to_backend, tuple);
  if (known) {
    *outward = *known;
    if (socket)
      keep_in_socket(socket, tuple, known);
    return 1;
  }
  /* a packet to be explained was sent by no socket */
  return explaining && read_from_socket(skb, packet->family, &tuple->remote, tuple->remote_port,
                                        &tuple->local, tuple->local_port, outward);
}

/* Did the socket that dialled `inward` come to this place on the wire, by this lane? */
static __always_inline int is_of_socket(struct __sk_buff* skb, const struct trap_tuple* wire,
                                        __u32 family, const struct trap_inward* inward,
                                        struct trap_outward* outward) {
  __be16 local_port = trap_lane_port(wire->local_port, trap_lane(inward->flags));

  return read_from_socket(skb, family, &inward->service, inward->port, &wire->local, local_port,
                          outward) &&
         (outward->flags & TRAP_FLOW_LANE) == (inward->flags & TRAP_FLOW_LANE) &&
         outward->port == wire->remote_port && trap_address_equal(&outward->backend, &wire->remote);
}

/* Is search->found the connection that has the place search->tuple? A function by itself, because
 * recall_inward() asks for each service on each lane. */
TRAP_GLOBAL_FUNCTION int is_found(struct __sk_buff* skb, __u32 family) {
  struct scratch* memory = find_scratch();

  return memory && is_of_socket(skb, &memory->search.tuple, family, &memory->search.found,
                                &memory->search.outward);
}

/* A place on the wire without an entry in `to_public` may be that of a connection that was silent
 * for long: its backend tells which services and lanes the connection can have, and a socket of
 * this host which one it is. Looks for search->tuple; the answer is search->found. 0 if there is
 * none. (Keys and values are in the scratch memory: kernel 6.1 takes no others from a function that
 * is judged by itself.) */
TRAP_GLOBAL_FUNCTION int recall_inward(struct __sk_buff* skb, __u32 family) {
  struct scratch* memory = find_scratch();
  const struct trap_origins* known;
  struct trap_inward* inward;
  struct trap_tuple* wire;

  if (!memory)
    return 0;
  wire = &memory->search.tuple;
  inward = &memory->search.found;
  known =
      bpf_map_lookup_elem(&origins, origin_key(&memory->search, &wire->remote, wire->remote_port));
  if (!known)
    return 0;
  for (__u32 lane = 0; lane < TRAP_LANES; lane++) {
    if (lane && !(known->lanes >> lane & 1))
      continue;
    for (int i = 0; i <= TRAP_ORIGINS; i++) {
      if (i < TRAP_ORIGINS) {
        *inward = known->services[i];
      } else { /* the application dialled the backend itself */
        inward->service = wire->remote;
        inward->port = lane ? wire->remote_port : 0;
      }
      inward->flags = lane << 4;
      if (inward->port && is_found(skb, family)) {
        store(&to_public, wire, inward, BPF_ANY);
        return 1;
      }
    }
  }
  return 0;
}

/* Finds the connection that has this place on the wire. 0 if none of the programs' has it. */
static __always_inline int find_inward(struct __sk_buff* skb, const struct trap_tuple* wire,
                                       __u32 family, struct trap_inward* inward) {
  const struct trap_inward* known = bpf_map_lookup_elem(&to_public, wire);
  struct scratch* memory;

  if (known) {
    *inward = *known;
    return 1;
  }
  memory = find_scratch();
  if (!memory)
    return 0;
  memory->search.tuple = *wire;
  if (!recall_inward(skb, family))
    return 0;
  *inward = memory->search.found;
  return 1;
}
