/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an admitted client may do: budgets of SYNs, packets, bytes and open flows, by the class of
 * its tag. An entry for a client is made only after its ticket or announcement was right. A flow
 * draws packets and bytes in chunks, so that most segments only count down. */
#pragma once

#include "dataplane/verifier.h"
#include "guard/bpf/flow.bpf.h"

/* Drawn at once where there is no limit. */
#define TRAP_FREE_PACKETS 4096
#define TRAP_FREE_KIB 4096

static __always_inline struct trap_guard_client_key client_key_of(const struct packet_context* e) {
  struct trap_guard_client_key key = {
      .prefix = trap_address_mask(e->packet.source, e->packet.family, scope_of(e)),
      .slot = e->port.slot};

  return key;
}

static __always_inline const struct trap_guard_class* class_of(__u8 tag) {
  __u32 index = tag;

  return bpf_map_lookup_elem(&classes, &index);
}

/* The entry of an admitted client, made if there is none. NULL: the table is full of others, and a
 * budget is not worth an honest client. */
static __always_inline struct trap_guard_client* client_of(const struct trap_guard_client_key* key,
                                                           __u8 tag) {
  struct trap_guard_client* client = bpf_map_lookup_elem(&admitted, key);

  if (explaining)
    return client;
  if (!client) {
    struct trap_guard_client fresh = {.tag = tag};

    bpf_map_update_elem(&admitted, key, &fresh, BPF_NOEXIST); /* another CPU may be first */
    client = bpf_map_lookup_elem(&admitted, key);
  }
  if (client && client->tag != tag)
    client->tag = tag;
  return client;
}

/* May the client have one more flow? Counts are believed only while the daemon corrects them: not
 * every flow is seen to end. */
static __always_inline int flows_allow(const struct packet_context* e,
                                       const struct trap_guard_client* client,
                                       const struct trap_guard_class* class) {
  if (class->flows == 0 || client->flows < class->flows)
    return 1;
  return e->monotonic_ns >= e->settings->flow_counts_until_ns;
}

/* The flow of an admitted SYN, counted among its client's. */
static __always_inline enum trap_verdict open_flow(const struct packet_context* e,
                                                   struct trap_guard_client* client,
                                                   const struct trap_guard_class* class, __u8 tag,
                                                   enum trap_verdict admitted) {
  struct trap_flow_key key = flow_key_of(&e->packet);
  __u64 hash = trap_flow_hash(&key, e->settings->table_keys);
  struct trap_guard_flow* flow = find_flow(&key, hash, e->monotonic_ns);

  if (flow && flow->tag == tag &&
      (flow->flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING)) == TRAP_FLOW_BUDGETED)
    return admitted; /* the SYN is repeated */
  if (!flows_allow(e, client, class))
    return TRAP_DROP_CLIENT_FLOWS;
  if (explaining)
    return admitted;
  if (!flow)
    flow = make_flow(&key, hash, e->monotonic_ns, tag, TRAP_FLOW_BUDGETED);
  if (!flow)
    return admitted;
  flow->tag = tag;
  flow->flags = TRAP_FLOW_BUDGETED;
  __sync_fetch_and_add(&client->flows, 1);
  return admitted;
}

/* A SYN whose ticket or announcement is right, against its client's budgets. `admitted` is the
 * verdict within them. */
static __always_inline enum trap_verdict admit(const struct packet_context* e, __u8 tag,
                                               enum trap_verdict admitted) {
  struct trap_guard_client_key key = client_key_of(e);
  const struct trap_guard_class* class = class_of(tag);
  struct trap_guard_client* client = client_of(&key, tag);

  if (!class || !client)
    return admitted;
  if (!take_tokens(&client->syns, &class->syns, e->monotonic_ns, 1))
    return TRAP_DROP_CLIENT_SYNS;
  return open_flow(e, client, class, tag, admitted);
}

/* Draws packets and bytes for a flow that has used up what it had. */
struct draw {
  struct trap_guard_client_key client;
  __u64 now_ns;
  __u32 bytes; /* of the packet at hand */
  __u32 reserved;
};

TRAP_GLOBAL_FUNCTION int draw_budget(const struct draw* draw, struct trap_guard_flow* flow) {
  struct trap_guard_client_key key;
  const struct trap_guard_class* class;
  struct trap_guard_client* client;
  __u32 packets = TRAP_FREE_PACKETS, kib = TRAP_FREE_KIB;

  if (!draw || !flow)
    return TRAP_PASS_FLOW;
  key =
      draw->client; /* kernel 6.1 takes no key from a caller's memory: "R2 type=mem expected=fp" */
  class = class_of(flow->tag);
  client = client_of(&key, flow->tag);
  if (!class || !client)
    return TRAP_PASS_FLOW;
  if (flow->packets_left == 0) {
    if (class->packets.token_ns)
      packets = class->packets.chunk;
    if (!take_tokens(&client->packets, &class->packets, draw->now_ns, packets))
      return TRAP_DROP_CLIENT_PACKETS;
    if (!explaining)
      flow->packets_left = packets;
  }
  if (flow->bytes_left < draw->bytes) {
    __u32 least = (draw->bytes + 1023) / 1024;

    if (class->kib.token_ns)
      kib = class->kib.chunk > least ? class->kib.chunk : least;
    if (!take_tokens(&client->kib, &class->kib, draw->now_ns, kib))
      return TRAP_DROP_CLIENT_BYTES;
    if (!explaining)
      flow->bytes_left += kib * 1024;
  }
  return TRAP_PASS_FLOW;
}

/* A segment of a budgeted flow pays, or the verdict says of what there was not enough. */
static __always_inline enum trap_verdict pay(const struct packet_context* e,
                                             struct trap_guard_flow* flow) {
  __u32 bytes = e->packet.l3_end;

  if (flow->packets_left == 0 || flow->bytes_left < bytes) {
    struct draw draw = {.client = client_key_of(e), .now_ns = e->monotonic_ns, .bytes = bytes};
    enum trap_verdict verdict = draw_budget(&draw, flow);

    if (verdict != TRAP_PASS_FLOW)
      return verdict;
  }
  if (explaining)
    return TRAP_PASS_FLOW;
  flow->packets_left--; /* a flow's packets come to one CPU; where they do not, a race costs a
                           packet's worth */
  flow->bytes_left -= bytes;
  return TRAP_PASS_FLOW;
}

/* A FIN or RST of a flow: it no longer counts among its client's open ones. */
static __always_inline void close_flow(const struct packet_context* e,
                                       struct trap_guard_flow* flow) {
  struct trap_guard_client_key key = client_key_of(e);
  struct trap_guard_client* client;

  if (explaining || (flow->flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING)) != TRAP_FLOW_BUDGETED)
    return;
  flow->flags |= TRAP_FLOW_CLOSING;
  client = bpf_map_lookup_elem(&admitted, &key);
  if (client && client->flows)
    __sync_fetch_and_add(&client->flows, -1);
}

/* A connection that the guard did not admit itself, or has lost sight of: without budgets, unless
 * its client is known to have some. */
static __always_inline void remember_flow(const struct packet_context* e, int may_be_budgeted) {
  struct trap_flow_key key = flow_key_of(&e->packet);
  __u64 hash = trap_flow_hash(&key, e->settings->table_keys);
  struct trap_guard_client_key of = client_key_of(e);
  const struct trap_guard_client* client =
      may_be_budgeted ? bpf_map_lookup_elem(&admitted, &of) : NULL;
  struct trap_guard_flow* flow = find_flow(&key, hash, e->monotonic_ns);

  if (explaining)
    return;
  if (flow)
    flow->flags = client ? flow->flags : 0;
  else
    make_flow(&key, hash, e->monotonic_ns, client ? client->tag : 0,
              client ? TRAP_FLOW_BUDGETED : 0);
}

/* A segment that is not a SYN. */
static __always_inline enum trap_verdict judge_flow(struct xdp_md* ctx,
                                                    const struct packet_context* e) {
  struct trap_flow_key key = flow_key_of(&e->packet);
  __u64 hash = trap_flow_hash(&key, e->settings->table_keys);
  struct trap_guard_flow* flow = find_flow(&key, hash, e->monotonic_ns);

  if (flow) {
    if (!explaining && e->monotonic_ns - flow->seen_ns > TRAP_FLOW_REFRESH_NS)
      flow->seen_ns = e->monotonic_ns;
    if (e->packet.flags & (TRAP_TCP_FIN | TRAP_TCP_RST))
      close_flow(e, flow);
    return flow->flags & TRAP_FLOW_BUDGETED ? pay(e, flow) : TRAP_PASS_FLOW;
  }
  if (!(e->port.flags & TRAP_PORT_SOCKETS) || !has_socket(ctx, &e->packet))
    return TRAP_DROP_NO_FLOW;
  remember_flow(e, 1);
  return TRAP_PASS_SOCKET;
}
