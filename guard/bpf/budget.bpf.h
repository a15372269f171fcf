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

/* Tries of a CPU to exchange a word that other CPUs change too. A packet whose CPU loses them all
 * is refused: a race costs a packet, and never lets one through. */
#define TRAP_EXCHANGE_TRIES 8

/* How many flows the client may have open. The count decides only while the daemon corrects it: the
 * end of some flows is never seen. */
static __always_inline __u32 most_flows(const struct packet_context* context,
                                        const struct trap_guard_class* class) {
  return class->flows && context->monotonic_ns < context->settings->flow_counts_until_ns
             ? class->flows
             : ~0U;
}

/* Counts one more open flow of the client. 0 if it may have no more. A function by itself, like the
 * next: kernel 6.1 follows each try of a loop on every path that comes to it. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE int add_flow(struct trap_guard_client* client, __u32 most) {
  if (!client)
    return 0;
  for (int i = 0; i < TRAP_EXCHANGE_TRIES; i++) {
    __u32 flows = *(volatile __u32*)&client->flows;

    if (flows >= most)
      return 0;
    if (explaining || __sync_val_compare_and_swap(&client->flows, flows, flows + 1) == flows)
      return 1;
  }
  return 0;
}

/* More open flows of the client, or fewer, and never fewer than none. */
TRAP_GLOBAL_FUNCTION int change_flows(struct trap_guard_client* client, __s32 change) {
  if (!client)
    return 0;
  for (int i = 0; i < TRAP_EXCHANGE_TRIES; i++) {
    __u32 flows = *(volatile __u32*)&client->flows;
    __s64 changed = (__s64)flows + change;

    if (changed < 0)
      changed = 0;
    if (__sync_val_compare_and_swap(&client->flows, flows, (__u32)changed) == flows)
      return 1;
  }
  return 0; /* the daemon corrects the count */
}

/* Tag and flags of a flow, which change together. */
union standing {
  struct {
    __u8 tag;
    __u8 flags;
    __u8 reserved[2];
  };
  __u32 word;
};

static __always_inline union standing standing_of(const struct trap_guard_flow* flow) {
  union standing standing = {.word = *(const volatile __u32*)&flow->tag};

  return standing;
}

/* 1 if the flow still stood as it did `before`, and stands as `after` now: of the CPUs that close
 * or open a flow at once, one counts it. */
static __always_inline TRAP_MUST_USE int
change_standing(struct trap_guard_flow* flow, union standing before, union standing after) {
  return __sync_val_compare_and_swap((__u32*)&flow->tag, before.word, after.word) == before.word;
}

static __always_inline int is_counted(__u8 flags) {
  return (flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING)) == TRAP_FLOW_BUDGETED;
}

/* The flow of an admitted SYN, counted among its client's. */
static __always_inline TRAP_MUST_USE enum trap_verdict
open_flow(const struct packet_context* context, struct trap_guard_client* client,
          const struct trap_guard_class* class, __u8 tag, enum trap_verdict admitted) {
  struct trap_flow_key key = flow_key_of(&context->packet);
  __u64 hash = trap_flow_hash(&key, context->settings->table_keys);
  struct trap_guard_flow* flow = find_flow(&key, hash, context->monotonic_ns);

  union standing before = {}, after = {.tag = tag, .flags = TRAP_FLOW_BUDGETED};

  if (flow)
    before = standing_of(flow);
  if (is_counted(before.flags) && before.tag == tag)
    return admitted; /* the SYN is repeated */
  if (!is_counted(before.flags) && !add_flow(client, most_flows(context, class)))
    return TRAP_DROP_CLIENT_FLOWS;
  if (explaining)
    return admitted;
  if (flow ? change_standing(flow, before, after)
           : make_flow(&key, hash, context->monotonic_ns, tag, TRAP_FLOW_BUDGETED) != NULL)
    return admitted;
  if (!is_counted(before.flags)) /* another CPU was faster, and counted the flow */
    change_flows(client, -1);
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

/* What a flow may still send before it draws again. */
union allowance {
  struct {
    __u32 bytes;
    __u32 packets;
  };
  __u64 word;
};

static __always_inline union allowance allowance_of(const struct trap_guard_flow* flow) {
  union allowance left = {.word = *(const volatile __u64*)&flow->bytes_left};

  return left;
}

static __always_inline void add_allowance(struct trap_guard_flow* flow, __u32 packets,
                                          __u32 bytes) {
  union allowance drawn = {.bytes = bytes, .packets = packets};

  if (!explaining)
    __sync_fetch_and_add((__u64*)&flow->bytes_left, drawn.word);
}

enum drawn {
  DRAWN_ENOUGH,
  DRAWN_FREE, /* the client has no budget */
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
  union allowance left;

  if (!draw || !flow)
    return DRAWN_FREE;
  key =
      draw->client; /* kernel 6.1 takes no key from a caller's memory: "R2 type=mem expected=fp" */
  class = class_of(flow->tag);
  client = client_of(&key, flow->tag);
  if (!class || !client)
    return DRAWN_FREE;
  left = allowance_of(flow);
  if (left.packets == 0) {
    if (class->packets.token_ns)
      packets = class->packets.chunk;
    if (!take_tokens(&client->packets, &class->packets, draw->now_ns, packets))
      return DRAWN_NO_PACKETS;
    add_allowance(flow, packets, 0);
  }
  if (left.bytes < draw->bytes) {
    __u32 least = (draw->bytes + 1023) / 1024;

    if (class->kib.token_ns)
      kib = class->kib.chunk > least ? class->kib.chunk : least;
    if (!take_tokens(&client->kib, &class->kib, draw->now_ns, kib))
      return DRAWN_NO_BYTES;
    add_allowance(flow, 0, kib * 1024);
  }
  return DRAWN_ENOUGH;
}

enum paid {
  PAID,
  PAID_NOTHING,
  PAID_SHORT, /* the flow has to draw first */
};

/* Takes a packet from what a flow may send: packet and bytes together or not at all, so that no CPU
 * takes what another has just taken. */
static __always_inline TRAP_MUST_USE enum paid pay_once(struct trap_guard_flow* flow, __u32 bytes) {
  union allowance before = allowance_of(flow);
  union allowance after = {.bytes = before.bytes - bytes, .packets = before.packets - 1};

  if (before.packets == 0 || before.bytes < bytes)
    return PAID_SHORT;
  if (explaining)
    return PAID;
  return __sync_val_compare_and_swap((__u64*)&flow->bytes_left, before.word, after.word) ==
                 before.word
             ? PAID
             : PAID_NOTHING;
}

/* Draws, and pays then. DRAWN_NO_PACKETS also if other CPUs were faster at every try. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum drawn draw_and_pay(const struct draw* draw,
                                                           struct trap_guard_flow* flow) {
  if (!draw || !flow)
    return DRAWN_FREE;
  for (int i = 0; i < TRAP_EXCHANGE_TRIES; i++) {
    enum paid paid = pay_once(flow, draw->bytes);
    enum drawn drawn;

    if (paid == PAID)
      return DRAWN_ENOUGH;
    if (paid == PAID_NOTHING)
      continue;
    drawn = draw_budget(draw, flow);
    if (drawn != DRAWN_ENOUGH || explaining)
      return drawn;
  }
  return DRAWN_NO_PACKETS;
}

/* Charges a segment to its flow; the verdict of a refusal names the budget that is used up. */
static __always_inline TRAP_MUST_USE enum trap_verdict pay(const struct packet_context* context,
                                                           struct trap_guard_flow* flow) {
  struct draw draw = {.now_ns = context->monotonic_ns, .bytes = context->packet.l3_end};

  if (pay_once(flow, draw.bytes) == PAID)
    return TRAP_PASS_FLOW;
  draw.client = client_key_of(context);
  switch (draw_and_pay(&draw, flow)) {
  case DRAWN_NO_PACKETS:
    return TRAP_DROP_CLIENT_PACKETS;
  case DRAWN_NO_BYTES:
    return TRAP_DROP_CLIENT_BYTES;
  default:
    return TRAP_PASS_FLOW;
  }
}

/* A FIN or RST of a flow: it no longer counts among its client's open ones. */
static __always_inline void close_flow(const struct packet_context* context,
                                       struct trap_guard_flow* flow) {
  union standing before = standing_of(flow), after = before;
  struct trap_guard_client_key key = client_key_of(context);
  struct trap_guard_client* client;

  if (explaining || !is_counted(before.flags))
    return;
  after.flags |= TRAP_FLOW_CLOSING;
  if (!change_standing(flow, before, after))
    return;
  client = bpf_map_lookup_elem(&admitted, &key);
  if (client)
    change_flows(client, -1);
}

/* A trusted peer's SYN: the flow has no budgets, and no longer counts if it did. */
static __always_inline void free_flow(const struct packet_context* context,
                                      struct trap_guard_flow* flow) {
  union standing before = standing_of(flow), after = {};
  struct trap_guard_client_key key = client_key_of(context);
  struct trap_guard_client* client;

  if (!change_standing(flow, before, after) || !is_counted(before.flags))
    return;
  client = bpf_map_lookup_elem(&admitted, &key);
  if (client)
    change_flows(client, -1);
}

/* Makes an entry for a connection that the guard did not admit itself or has lost: without budgets,
 * unless its client has some. It counts beyond every limit: it is open already. */
static __always_inline void remember_flow(const struct packet_context* context,
                                          int may_be_budgeted) {
  struct trap_flow_key key = flow_key_of(&context->packet);
  __u64 hash = trap_flow_hash(&key, context->settings->table_keys);
  struct trap_guard_client_key of = client_key_of(context);
  struct trap_guard_client* client = may_be_budgeted ? bpf_map_lookup_elem(&admitted, &of) : NULL;
  struct trap_guard_flow* flow = find_flow(&key, hash, context->monotonic_ns);

  if (explaining)
    return;
  if (flow) {
    if (!client)
      free_flow(context, flow);
  } else if (make_flow(&key, hash, context->monotonic_ns, client ? client->tag : 0,
                       client ? TRAP_FLOW_BUDGETED : 0) &&
             client) {
    change_flows(client, 1);
  }
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
