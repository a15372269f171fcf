/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Budgets of an admitted client: SYNs, packets, bytes and open flows, by the class of its tag. A
 * client gets an entry only after its ticket or announcement was right. A flow draws packets and
 * bytes in chunks, so that most segments only count down. */
#pragma once

#include "dataplane/verifier.h"
#include "guard/bpf/flow.bpf.h"

/* Drawn at once where there is no limit. */
#define TRAP_FREE_PACKETS 4096
#define TRAP_FREE_KIB 4096

static __always_inline struct trap_guard_client_key
client_key_of(const struct packet_context* context) {
  struct trap_guard_client_key key = {
      .prefix =
          trap_address_mask(context->packet.source, context->packet.family, scope_of(context)),
      .slot = context->port.slot};

  return key;
}

static __always_inline const struct trap_guard_class* class_of(__u8 tag) {
  __u32 index = tag;

  return bpf_map_lookup_elem(&classes, &index);
}

/* The entry of an admitted client, made if there is none. NULL if the table is full of others: then
 * the client has no budget, because it may be honest. */
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

/* May the client have one more flow? The count decides only while the daemon corrects it: the end
 * of some flows is never seen. */
static __always_inline int flows_allow(const struct packet_context* context,
                                       const struct trap_guard_client* client,
                                       const struct trap_guard_class* class) {
  if (class->flows == 0 || client->flows < class->flows)
    return 1;
  return context->monotonic_ns >= context->settings->flow_counts_until_ns;
}

/* The flow of an admitted SYN, counted among its client's. */
static __always_inline TRAP_MUST_USE enum trap_verdict
open_flow(const struct packet_context* context, struct trap_guard_client* client,
          const struct trap_guard_class* class, __u8 tag, enum trap_verdict admitted) {
  struct trap_flow_key key = flow_key_of(&context->packet);
  __u64 hash = trap_flow_hash(&key, context->settings->table_keys);
  struct trap_guard_flow* flow = find_flow(&key, hash, context->monotonic_ns);

  if (flow && flow->tag == tag &&
      (flow->flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING)) == TRAP_FLOW_BUDGETED)
    return admitted; /* the SYN is repeated */
  if (!flows_allow(context, client, class))
    return TRAP_DROP_CLIENT_FLOWS;
  if (explaining)
    return admitted;
  if (!flow)
    flow = make_flow(&key, hash, context->monotonic_ns, tag, TRAP_FLOW_BUDGETED);
  if (!flow)
    return admitted;
  flow->tag = tag;
  flow->flags = TRAP_FLOW_BUDGETED;
  __sync_fetch_and_add(&client->flows, 1);
  return admitted;
}

/* Charges a SYN with a right ticket or announcement to its client's budgets. `admitted` is the
 * verdict within them. */
static __always_inline TRAP_MUST_USE enum trap_verdict admit(const struct packet_context* context,
                                                             __u8 tag, enum trap_verdict admitted) {
  struct trap_guard_client_key key = client_key_of(context);
  const struct trap_guard_class* class = class_of(tag);
  struct trap_guard_client* client = client_of(&key, tag);

  if (!class || !client)
    return admitted;
  if (!take_tokens(&client->syns, &class->syns, context->monotonic_ns, 1))
    return TRAP_DROP_CLIENT_SYNS;
  return open_flow(context, client, class, tag, admitted);
}

enum drawn {
  DRAWN_ENOUGH, /* also if the client has no budget */
  DRAWN_NO_PACKETS,
  DRAWN_NO_BYTES,
};

/* Arguments of draw_budget. */
struct draw {
  struct trap_guard_client_key client;
  __u64 now_ns;
  __u32 bytes; /* of the packet at hand */
  __u32 reserved;
};

/* Draws packets and bytes for a flow that has used up its own. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum drawn draw_budget(const struct draw* draw,
                                                          struct trap_guard_flow* flow) {
  struct trap_guard_client_key key;
  const struct trap_guard_class* class;
  struct trap_guard_client* client;
  __u32 packets = TRAP_FREE_PACKETS, kib = TRAP_FREE_KIB;

  if (!draw || !flow)
    return DRAWN_ENOUGH;
  key =
      draw->client; /* kernel 6.1 takes no key from a caller's memory: "R2 type=mem expected=fp" */
  class = class_of(flow->tag);
  client = client_of(&key, flow->tag);
  if (!class || !client)
    return DRAWN_ENOUGH;
  if (flow->packets_left == 0) {
    if (class->packets.token_ns)
      packets = class->packets.chunk;
    if (!take_tokens(&client->packets, &class->packets, draw->now_ns, packets))
      return DRAWN_NO_PACKETS;
    if (!explaining)
      flow->packets_left = packets;
  }
  if (flow->bytes_left < draw->bytes) {
    __u32 least = (draw->bytes + 1023) / 1024;

    if (class->kib.token_ns)
      kib = class->kib.chunk > least ? class->kib.chunk : least;
    if (!take_tokens(&client->kib, &class->kib, draw->now_ns, kib))
      return DRAWN_NO_BYTES;
    if (!explaining)
      flow->bytes_left += kib * 1024;
  }
  return DRAWN_ENOUGH;
}

/* Charges a segment to its flow; the verdict of a refusal names the budget that is used up. */
static __always_inline TRAP_MUST_USE enum trap_verdict pay(const struct packet_context* context,
                                                           struct trap_guard_flow* flow) {
  __u32 bytes = context->packet.l3_end;

  if (flow->packets_left == 0 || flow->bytes_left < bytes) {
    struct draw draw = {
        .client = client_key_of(context), .now_ns = context->monotonic_ns, .bytes = bytes};
    enum drawn drawn = draw_budget(&draw, flow);

    if (drawn != DRAWN_ENOUGH)
      return drawn == DRAWN_NO_PACKETS ? TRAP_DROP_CLIENT_PACKETS : TRAP_DROP_CLIENT_BYTES;
  }
  if (explaining)
    return TRAP_PASS_FLOW;
  flow->packets_left--; /* one CPU gets a flow's packets; otherwise a race costs one of them */
  flow->bytes_left -= bytes;
  return TRAP_PASS_FLOW;
}

/* A FIN or RST of a flow: it no longer counts among its client's open ones. */
static __always_inline void close_flow(const struct packet_context* context,
                                       struct trap_guard_flow* flow) {
  struct trap_guard_client_key key = client_key_of(context);
  struct trap_guard_client* client;

  if (explaining || (flow->flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING)) != TRAP_FLOW_BUDGETED)
    return;
  flow->flags |= TRAP_FLOW_CLOSING;
  client = bpf_map_lookup_elem(&admitted, &key);
  if (client && client->flows)
    __sync_fetch_and_add(&client->flows, -1);
}

/* Makes an entry for a connection that the guard did not admit itself or has lost: without budgets,
 * unless its client has some. */
static __always_inline void remember_flow(const struct packet_context* context,
                                          int may_be_budgeted) {
  struct trap_flow_key key = flow_key_of(&context->packet);
  __u64 hash = trap_flow_hash(&key, context->settings->table_keys);
  struct trap_guard_client_key of = client_key_of(context);
  const struct trap_guard_client* client =
      may_be_budgeted ? bpf_map_lookup_elem(&admitted, &of) : NULL;
  struct trap_guard_flow* flow = find_flow(&key, hash, context->monotonic_ns);

  if (explaining)
    return;
  if (flow)
    flow->flags = client ? flow->flags : 0;
  else
    make_flow(&key, hash, context->monotonic_ns, client ? client->tag : 0,
              client ? TRAP_FLOW_BUDGETED : 0);
}

/* A segment that is not a SYN. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_flow(struct xdp_md* ctx, const struct packet_context* context) {
  struct trap_flow_key key = flow_key_of(&context->packet);
  __u64 hash = trap_flow_hash(&key, context->settings->table_keys);
  struct trap_guard_flow* flow = find_flow(&key, hash, context->monotonic_ns);

  if (flow) {
    if (!explaining && context->monotonic_ns - flow->seen_ns > TRAP_FLOW_REFRESH_NS)
      flow->seen_ns = context->monotonic_ns;
    if (context->packet.flags & (TRAP_TCP_FIN | TRAP_TCP_RST))
      close_flow(context, flow);
    return flow->flags & TRAP_FLOW_BUDGETED ? pay(context, flow) : TRAP_PASS_FLOW;
  }
  if (!(context->port.flags & TRAP_PORT_SOCKETS) ||
      !trap_socket_is_connection(find_socket(ctx, &context->packet)))
    return TRAP_DROP_NO_FLOW;
  remember_flow(context, 1);
  return TRAP_PASS_SOCKET;
}
