/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Budgets of an admitted client and of the network around it: SYNs, packets, bytes and open flows,
 * by the class of its tag. A client gets an entry only after its ticket or announcement was right.
 * A flow draws packets and bytes in chunks, so that most segments only count down. */
#pragma once

#include "dataplane/verifier.h"
#include "guard/bpf/client.bpf.h"
#include "guard/bpf/flow.bpf.h"
#include "guard/bpf/network.bpf.h"

/* Drawn at once where there is no limit. */
#define TRAP_FREE_PACKETS 4096
#define TRAP_FREE_KIB 4096

/* Tries of a CPU to exchange a word that other CPUs change too. A packet whose CPU loses them all
 * is refused: a race costs a packet, and never lets one through. */
#define TRAP_EXCHANGE_TRIES 4

/* A packet as the functions by themselves get it: kernel 6.1 follows loops on every path that comes
 * to them, and would not come to an end if these were not judged once. */
struct subject {
  struct trap_guard_client_key client;
  __u32 bytes;
  __u8 tag;
  union {
    __u8 by_announcement; /* of a SYN */
    __u8 beginning;       /* of another segment: enum beginning, segment.bpf.h */
  };
  __u8 consent_kind; /* as in struct trap_guard_flow */
  __u8 flow_flags;   /* of a flow that begins */
};

static __always_inline struct trap_guard_client_key
client_key_of(const struct packet_context* context) {
  struct trap_guard_client_key key = {
      .prefix =
          trap_address_mask(context->packet.source, context->packet.family, scope_of(context)),
      .slot = context->port.slot};

  return key;
}

static __always_inline struct subject subject_of(const struct packet_context* context, __u8 tag) {
  struct subject subject = {
      .client = client_key_of(context), .bytes = context->packet.l3_end, .tag = tag};

  return subject;
}

static __always_inline const struct trap_guard_class* class_of(__u8 tag) {
  __u32 index = tag;

  return bpf_map_lookup_elem(&classes, &index);
}

/* The entry of an admitted client, made if there is none. NULL as make_client_place() says. */
static __always_inline struct trap_guard_client* client_of(const struct trap_guard_client_key* key,
                                                           __u8 tag) {
  struct trap_guard_client* client = client_at(make_client_place(key));

  if (client && !explaining && client->tag != tag)
    client->tag = tag;
  return client;
}

/* The number of flows that may be open at once. Counts decide only while the daemon corrects them:
 * the end of some flows is never seen. */
static __always_inline __u32 most_flows(__u64 now_ns, __u32 limit) {
  __u32 zero = 0;
  const struct trap_guard_settings* now;

  if (!limit)
    return ~0U;
  now = bpf_map_lookup_elem(&settings, &zero);
  return now && now_ns < now->flow_counts_until_ns ? limit : ~0U;
}

/* Counts one more open flow. 0 if there may be no more. */
static __always_inline TRAP_MUST_USE int add_flow(__u32* counted, __u32 most) {
  for (int i = 0; i < TRAP_EXCHANGE_TRIES; i++) {
    __u32 flows = *(volatile __u32*)counted;

    if (flows >= most)
      return 0;
    if (explaining || __sync_val_compare_and_swap(counted, flows, flows + 1) == flows)
      return 1;
  }
  return 0;
}

/* More open flows, or fewer, and never fewer than none. If other CPUs win every try, the daemon
 * corrects the count. */
static __always_inline void change_flows(__u32* counted, __s32 change) {
  for (int i = 0; i < TRAP_EXCHANGE_TRIES; i++) {
    __u32 flows = *(volatile __u32*)counted;
    __s64 changed = (__s64)flows + change;

    if (changed < 0)
      changed = 0;
    if (__sync_val_compare_and_swap(counted, flows, (__u32)changed) == flows)
      return;
  }
}

/* A flow of the client counts, or no longer does, wherever such counts are kept. */
TRAP_GLOBAL_FUNCTION int count_flow(const struct subject* subject, __u32 tag, __s32 change) {
  struct trap_guard_client* client;
  const struct trap_network_class* class;
  struct trap_network* network;

  if (!subject || explaining)
    return 0;
  client = find_client(&subject->client);
  if (client)
    change_flows(&client->flows, change);
  class = network_class_of((__u8)tag);
  if (!class || !class->flows)
    return 0;
  network = find_network(&subject->client);
  if (network)
    change_flows(&network->flows, change);
  return 0;
}

enum added {
  ADDED,
  ADDED_TOO_MANY,
  ADDED_TOO_MANY_IN_NETWORK,
};

/* Whether client and network may have another open flow: a SYN that cannot become one is refused.
 */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum added may_add_flows(const struct subject* subject) {
  const struct trap_guard_class* class;
  const struct trap_network_class* network_class;
  const struct trap_guard_client* client;
  const struct trap_network* network;

  if (!subject)
    return ADDED;
  class = class_of(subject->tag);
  network_class = network_class_of(subject->tag);
  if (class && class->flows) {
    client = find_client(&subject->client);
    if (client && client->flows >= most_flows(coarse_ns(), class->flows))
      return ADDED_TOO_MANY;
  }
  network = network_class && network_class->flows ? find_network(&subject->client) : NULL;
  return network && network->flows >= most_flows(coarse_ns(), network_class->flows)
             ? ADDED_TOO_MANY_IN_NETWORK
             : ADDED;
}

/* Counts one more flow of client and network, of neither unless both may have it. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum added add_flows(const struct subject* subject) {
  const struct trap_guard_class* class;
  const struct trap_network_class* network_class;
  struct trap_guard_client* client;
  struct trap_network* network;

  if (!subject)
    return ADDED;
  class = class_of(subject->tag);
  network_class = network_class_of(subject->tag);
  client = find_client(&subject->client);
  if (!class || !network_class || !client)
    return ADDED;
  if (!add_flow(&client->flows, most_flows(coarse_ns(), class->flows)))
    return ADDED_TOO_MANY;
  network = network_class->flows ? find_network(&subject->client) : NULL;
  if (!network || add_flow(&network->flows, most_flows(coarse_ns(), network_class->flows)))
    return ADDED;
  if (!explaining)
    change_flows(&client->flows, -1);
  return ADDED_TOO_MANY_IN_NETWORK;
}

static __always_inline TRAP_MUST_USE enum trap_verdict verdict_of_added(enum added added) {
  switch (added) {
  case ADDED_TOO_MANY:
    return TRAP_DROP_CLIENT_FLOWS;
  case ADDED_TOO_MANY_IN_NETWORK:
    return TRAP_DROP_NETWORK_FLOWS;
  default:
    return TRAP_PASS_FLOW;
  }
}

static __always_inline int is_counted(__u8 flags) {
  return (flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_ENDED)) == TRAP_FLOW_BUDGETED;
}

/* A connection and whose it is. */
struct opening {
  struct subject subject;
  struct trap_flow_key key;
};

static __always_inline struct opening opening_of(const struct packet_context* context, __u8 tag) {
  struct opening opening = {.subject = subject_of(context, tag),
                            .key = flow_key_of(&context->packet)};

  return opening;
}

/* How the flow of an admitted SYN stands. If the SYN is repeated, only its ticket may be another.
 */
static __always_inline union standing standing_by(const struct opening* opening,
                                                  union standing before) {
  union standing after = {.tag = opening->subject.tag,
                          .flags = opening->subject.flow_flags,
                          .consent_kind = opening->subject.consent_kind};

  if (is_counted(before.flags))
    after.flags = before.flags;
  return after;
}

/* The flow of an admitted SYN: half-open, and not counted. Without room for it among others with
 * tickets it gets no entry, and its socket decides about its ACK. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum added open_flow(const struct opening* opening) {
  union standing before = {};
  struct trap_flow_bucket* bucket;
  struct trap_guard_flow* flow;
  __u64 hash, now_ns;

  if (!opening)
    return ADDED_TOO_MANY;
  hash = hash_flow(&opening->key);
  bucket = half_open_bucket(&opening->key, hash);
  if (!bucket)
    return ADDED;
  now_ns = coarse_ns();
  flow = find_in_bucket(bucket, &opening->key, now_ns);
  if (!flow && (opening->subject.flow_flags & TRAP_FLOW_BUDGETED)) {
    enum added added = may_add_flows(&opening->subject);

    if (added != ADDED)
      return added;
  }
  if (explaining)
    return ADDED;
  if (!flow) {
    mark_half_open(hash, now_ns);
    write_flow(claim_half_open(bucket, opening->subject.consent_kind, now_ns), &opening->key,
               now_ns, standing_by(opening, before));
    return ADDED;
  }
  before = standing_of(flow);
  entry_of(flow)->key.consent = opening->key.consent;
  if (!change_standing(flow, before, standing_by(opening, before)))
    return ADDED; /* another CPU was faster */
  return ADDED;
}

enum syn_paid {
  SYN_PAID,
  SYN_BEYOND_CLIENT,
  SYN_BEYOND_NETWORK,
};

/* Charges a SYN to its client and to the network around it. An announced client can be
 * spoofed from outside the path; so SYNs by announcement pay from buckets of their own, and cost
 * tickets nothing. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum syn_paid pay_syn(const struct subject* subject) {
  const struct trap_guard_class* class;
  const struct trap_network_class* network_class;
  struct trap_guard_client* client;
  struct trap_network* network;

  if (!subject)
    return SYN_BEYOND_CLIENT;
  class = class_of(subject->tag);
  network_class = network_class_of(subject->tag);
  client = client_of(&subject->client, subject->tag);
  if (!class || !network_class)
    return SYN_PAID;
  if (!client && !explaining)
    return SYN_BEYOND_CLIENT;
  if (client && !take_tokens(subject->by_announcement ? &client->announced_syns : &client->syns,
                             &class->syns, coarse_ns(), 1))
    return SYN_BEYOND_CLIENT;
  if (!has_network_limits(network_class))
    return SYN_PAID;
  network = find_network(&subject->client);
  if (!network)
    return explaining ? SYN_PAID : SYN_BEYOND_NETWORK;
  return take_tokens(subject->by_announcement ? &network->announced_syns : &network->syns,
                     &network_class->syns, coarse_ns(), 1)
             ? SYN_PAID
             : SYN_BEYOND_NETWORK;
}

/* Charges a SYN with a right ticket or announcement to its budgets. `admitted` is the verdict
 * within them. */
static __always_inline TRAP_MUST_USE enum trap_verdict admit(struct opening* opening,
                                                             enum trap_verdict admitted) {
  enum trap_verdict refused;

  opening->subject.by_announcement = admitted == TRAP_PASS_ANNOUNCED;
  opening->subject.flow_flags |= TRAP_FLOW_BUDGETED;
  switch (pay_syn(&opening->subject)) {
  case SYN_BEYOND_CLIENT:
    return TRAP_DROP_CLIENT_SYNS;
  case SYN_BEYOND_NETWORK:
    return TRAP_DROP_NETWORK_SYNS;
  default:
    break;
  }
  refused = verdict_of_added(open_flow(opening));
  return refused == TRAP_PASS_FLOW ? admitted : refused;
}

/* The packets and bytes that a flow may send before it draws again. */
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
  DRAWN_NO_NETWORK_PACKETS,
};

/* May the network's clients send so many packets more? */
static __always_inline TRAP_MUST_USE int network_allows_packets(const struct subject* subject,
                                                                __u8 tag, __u32 packets) {
  const struct trap_network_class* class = network_class_of(tag);
  struct trap_network* network;

  if (!class || !class->packets.token_ns)
    return 1;
  network = find_network(&subject->client);
  return network ? take_tokens(&network->packets, &class->packets, coarse_ns(), packets)
                 : explaining;
}

/* Draws packets and bytes for a flow that has used up its own. */
static __always_inline TRAP_MUST_USE enum drawn draw_budget(const struct subject* subject,
                                                            struct trap_guard_flow* flow) {
  const struct trap_guard_class* class;
  struct trap_guard_client* client;
  __u32 packets = TRAP_FREE_PACKETS, kib = TRAP_FREE_KIB;
  union allowance left;

  if (!subject || !flow)
    return DRAWN_FREE;
  class = class_of(flow->tag);
  client = client_of(&subject->client, flow->tag);
  if (!class)
    return DRAWN_FREE;
  if (!client)
    return explaining ? DRAWN_FREE : DRAWN_NO_PACKETS;
  left = allowance_of(flow);
  if (left.packets == 0) {
    if (class->packets.token_ns)
      packets = class->packets.chunk;
    if (!take_tokens(&client->packets, &class->packets, coarse_ns(), packets))
      return DRAWN_NO_PACKETS;
    if (!network_allows_packets(subject, flow->tag, packets))
      return DRAWN_NO_NETWORK_PACKETS;
    add_allowance(flow, packets, 0);
  }
  if (left.bytes < subject->bytes) {
    __u32 least = (subject->bytes + 1023) / 1024;

    if (class->kib.token_ns)
      kib = class->kib.chunk > least ? class->kib.chunk : least;
    if (!take_tokens(&client->kib, &class->kib, coarse_ns(), kib))
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
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum drawn draw_and_pay(const struct subject* subject,
                                                           struct trap_guard_flow* flow) {
  if (!subject || !flow)
    return DRAWN_FREE;
  for (int i = 0; i < TRAP_EXCHANGE_TRIES; i++) {
    enum paid paid = pay_once(flow, subject->bytes);
    enum drawn drawn;

    if (paid == PAID)
      return DRAWN_ENOUGH;
    if (paid == PAID_NOTHING)
      continue;
    drawn = draw_budget(subject, flow);
    if (drawn != DRAWN_ENOUGH || explaining)
      return drawn;
  }
  return DRAWN_NO_PACKETS;
}

/* The verdict of a refusal names the budget that is used up. */
static __always_inline TRAP_MUST_USE enum trap_verdict verdict_of_drawn(enum drawn drawn) {
  switch (drawn) {
  case DRAWN_NO_PACKETS:
    return TRAP_DROP_CLIENT_PACKETS;
  case DRAWN_NO_BYTES:
    return TRAP_DROP_CLIENT_BYTES;
  case DRAWN_NO_NETWORK_PACKETS:
    return TRAP_DROP_NETWORK_PACKETS;
  default:
    return TRAP_PASS_FLOW;
  }
}

/* Charges a segment to its flow. */
static __always_inline TRAP_MUST_USE enum trap_verdict pay(const struct packet_context* context,
                                                           struct trap_guard_flow* flow) {
  struct subject subject;

  if (pay_once(flow, context->packet.l3_end) == PAID)
    return TRAP_PASS_FLOW;
  subject = subject_of(context, flow->tag);
  return verdict_of_drawn(draw_and_pay(&subject, flow));
}

/* The flow has other flags from now on, and counts accordingly. */
TRAP_GLOBAL_FUNCTION int turn_flow(const struct subject* subject, struct trap_guard_flow* flow,
                                   __u32 flags) {
  union standing before, after;

  if (!subject || !flow || explaining)
    return 0;
  before = after = standing_of(flow);
  after.flags = (__u8)flags;
  if (before.word == after.word || !change_standing(flow, before, after) ||
      is_counted(before.flags) == is_counted(after.flags))
    return 0;
  count_flow(subject, before.tag, is_counted(after.flags) ? 1 : -1);
  return 1;
}

/* A flow is open from now on: its entry moves to `flows`, or takes the place of an earlier
 * connection's, which is closing. 0 if another CPU was faster. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE int open_up(const struct opening* opening) {
  struct trap_guard_flow *half, *flow;
  union standing before, fresh = {};
  __u64 hash, now_ns, seen_ns;

  if (!opening || explaining)
    return 1;
  fresh.tag = opening->subject.tag;
  fresh.flags =
      opening->subject.flow_flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING | TRAP_FLOW_UNSEEN);
  now_ns = coarse_ns();
  hash = hash_flow(&opening->key);
  half = find_half_open(&opening->key, hash, now_ns);
  if (half) {
    seen_ns = *(volatile __u64*)&half->seen_ns;
    if (seen_ns <= TRAP_FLOW_CLAIMED ||
        __sync_val_compare_and_swap(&half->seen_ns, seen_ns, TRAP_FLOW_EMPTY) != seen_ns)
      return 0;
  }
  flow = find_flow(&opening->key, hash, now_ns);
  if (!flow)
    return make_flow(&opening->key, hash, now_ns, fresh) != NULL;
  before = standing_of(flow);
  if (!(before.flags & TRAP_FLOW_CLOSING) || !change_standing(flow, before, fresh))
    return 0;
  entry_of(flow)->key.expected = opening->key.expected;
  if (is_counted(before.flags))
    count_flow(&opening->subject, before.tag, -1);
  return 1;
}
