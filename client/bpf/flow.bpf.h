/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Redirected connections. Hash tables hold both directions and lose the least recently used entries
 * first; a connection of this host is noted in its socket too, and is found there for as long as
 * the socket lives (docs/adr/0020-flows-live-in-sockets.md). */
#pragma once

#include "client/bpf/packet_context.bpf.h"
#include "dataplane/bpf/socket.bpf.h"

static const struct trap_origins no_origins = {};

static __always_inline struct trap_tuple service_side_tuple(const struct trap_tuple* tuple,
                                                            const struct trap_outward* outward) {
  struct trap_tuple wire = *tuple;

  wire.remote = outward->backend;
  wire.remote_port = outward->port;
  return wire;
}

/* Notes that the service dialled in `tuple` is at the backend of `outward`. */
static __always_inline void note_origin(const struct trap_tuple* tuple,
                                        const struct trap_outward* outward) {
  struct trap_origin_key key = {.backend = outward->backend, .port = outward->port};
  struct trap_origins* known = bpf_map_lookup_elem(&origins, &key);
  struct trap_inward* place;

  if (!known) {
    store(&origins, &key, &no_origins, BPF_NOEXIST);
    known = bpf_map_lookup_elem(&origins, &key);
  }
  if (!known || explaining)
    return;
  for (int i = 0; i < TRAP_ORIGINS; i++) {
    if (known->services[i].port == tuple->remote_port &&
        trap_address_equal(&known->services[i].service, &tuple->remote))
      return;
  }
  place = &known->services[known->next % TRAP_ORIGINS];
  known->next++;
  place->service = tuple->remote;
  place->port = tuple->remote_port;
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

/* Stores both directions of a redirected connection. 0 on success. */
static __always_inline int store_flow(const struct trap_tuple* tuple,
                                      const struct trap_outward* outward) {
  struct trap_tuple wire = service_side_tuple(tuple, outward);
  struct trap_inward inward = {.service = tuple->remote, .port = tuple->remote_port};

  note_origin(tuple, outward);
  note_remote(&tuple->remote, tuple->remote_port);
  note_remote(&outward->backend, outward->port);
  return store(&to_backend, tuple, outward, BPF_ANY) || store(&to_public, &wire, &inward, BPF_ANY);
}

static __always_inline void forget_flow(const struct trap_tuple* tuple,
                                        const struct trap_outward* outward) {
  struct trap_tuple wire = service_side_tuple(tuple, outward);

  forget(&to_public, &wire);
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
                                         .flags = outward->flags & TRAP_FLOW_VIA_NEIGHBOUR};

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
  struct bpf_sock_tuple tuple;
  __u32 bytes = make_tuple(&tuple, family, service, service_port, local, local_port);
  struct bpf_sock* socket = bpf_skc_lookup_tcp(skb, &tuple, bytes, BPF_F_CURRENT_NETNS, 0);
  int found;

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

/* A packet without an entry in `to_public` may belong to a connection that was silent for long: its
 * backend tells which services the connection can be to, and a socket of this host which one it is.
 * 0 if it is none. */
static __attribute__((noinline)) int recall_inward(struct __sk_buff* skb,
                                                   const struct trap_tuple* wire, __u32 family,
                                                   struct trap_inward* inward) {
  struct trap_origin_key key = {.backend = wire->remote, .port = wire->remote_port};
  const struct trap_origins* known = bpf_map_lookup_elem(&origins, &key);
  struct trap_outward outward;

  if (!known)
    return 0;
  for (int i = 0; i < TRAP_ORIGINS; i++) {
    *inward = known->services[i];
    if (!inward->port)
      break;
    if (read_from_socket(skb, family, &inward->service, inward->port, &wire->local,
                         wire->local_port, &outward) &&
        outward.port == wire->remote_port && trap_address_equal(&outward.backend, &wire->remote)) {
      store(&to_public, wire, inward, BPF_ANY);
      return 1;
    }
  }
  return 0;
}

/* Finds the service for which the sender of this packet stands. 0 if it stands for none. */
static __always_inline int find_inward(struct __sk_buff* skb, const struct trap_tuple* wire,
                                       __u32 family, struct trap_inward* inward) {
  const struct trap_inward* known = bpf_map_lookup_elem(&to_public, wire);

  if (!known)
    return recall_inward(skb, wire, family, inward);
  *inward = *known;
  return 1;
}
