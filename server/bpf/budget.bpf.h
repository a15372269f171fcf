/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Limits: caps on the answers of this server, and budgets of clients that have completed
 * handshakes. Caps are counters that always exist; a client gets an entry only after its cookie was
 * right. */
#pragma once

#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/token_bucket.h"
#include "server/bpf/packet_context.bpf.h"
#include "server/budgets.h"

/* Would cap_allows() allow it? Considers the chunk of this CPU only. */
static __always_inline int cap_would_allow(__u32 cap_index, const struct trap_rate* rate,
                                           __u64 now_ns) {
  const __u64* left = bpf_map_lookup_elem(&allowances, &cap_index);
  const struct trap_cap* cap = bpf_map_lookup_elem(&caps, &cap_index);

  return left && cap && (*left || trap_bucket_has(&cap->bucket, rate, now_ns, rate->chunk));
}

/* Takes one token of a cap, from the chunk of this CPU if one is left there. */
static __always_inline int cap_allows(__u32 cap_index, const struct trap_rate* rate, __u64 now_ns) {
  struct trap_cap* cap;
  __u64* left;

  if (rate->token_ns == 0)
    return 1;
  if (explaining)
    return cap_would_allow(cap_index, rate, now_ns);
  left = bpf_map_lookup_elem(&allowances, &cap_index);
  if (!left)
    return 0;
  if (*left) {
    (*left)--;
    return 1;
  }
  cap = bpf_map_lookup_elem(&caps, &cap_index);
  if (!cap || !trap_bucket_take(&cap->bucket, rate, now_ns, rate->chunk))
    return 0;
  *left = rate->chunk - 1;
  return 1;
}

/* May a SYN be answered? */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_syn_ack_caps(const struct packet_context* context) {
  if ((context->flags & TRAP_SERVICE_CAPPED) &&
      !cap_allows(TRAP_CAP_SERVICE + context->slot, &context->service->syn_acks,
                  context->monotonic_ns))
    return TRAP_DROP_SERVICE_CAP;
  return cap_allows(TRAP_CAP_SYN_ACKS, &context->settings->syn_acks, context->monotonic_ns)
             ? TRAP_REPLY_SYN_ACK
             : TRAP_DROP_SYN_ACK_CAP;
}

/* May another SYN go to the stack at peace? */
TRAP_GLOBAL_FUNCTION int peace_allows(__u32 slot, __u32 token_ns, __u64 now_ns) {
  struct trap_rate rate = {.token_ns = token_ns, .burst_ns = TRAP_PEACE_BURST_NS, .chunk = 1};
  struct trap_cap* cap = bpf_map_lookup_elem(&peace_caps, &slot);

  if (rate.burst_ns < token_ns)
    rate.burst_ns = token_ns;
  if (!cap || token_ns == 0)
    return 1;
  return explaining ? trap_bucket_has(&cap->bucket, &rate, now_ns, 1)
                    : trap_bucket_take(&cap->bucket, &rate, now_ns, 1);
}

#define TRAP_NO_BUDGET (~0U)

static __always_inline struct trap_client_budget* budget_at(__u32 place) {
  __u32 index = place / TRAP_BUDGET_WAYS;
  struct trap_budget_row* row = bpf_map_lookup_elem(&clients, &index);

  return row ? &row->entries[place % TRAP_BUDGET_WAYS].budget : NULL;
}

/* TRAP_BUDGET_WAYS if it is not in that row. */
static __always_inline __u32 find_in_row(const struct trap_budget_row* row, __u64 of) {
#pragma unroll
  for (__u32 i = 0; i < TRAP_BUDGET_WAYS; i++) {
    if (row->entries[i].of == of)
      return i;
  }
  return TRAP_BUDGET_WAYS;
}

/* The entry that loses least if it makes room: it is full again, or has saved up most. */
static __always_inline __u32 way_to_give_up(const struct trap_budget_row* row, __u32 but) {
  __u64 least = ~0ULL;
  __u32 at = 0;

#pragma unroll
  for (__u32 i = 0; i < TRAP_BUDGET_WAYS; i++) {
    if (i != but && row->entries[i].budget.bucket.full_at_ns < least) {
      least = row->entries[i].budget.bucket.full_at_ns;
      at = i;
    }
  }
  return at;
}

/* 0 on success; another CPU may take the place at this moment. */
static __always_inline int make_budget(struct trap_budget_row* row, __u32 way, __u64 of,
                                       __u64 now_ns) {
  struct trap_budget_entry* entry = &row->entries[way % TRAP_BUDGET_WAYS];
  __u64 former = *(volatile __u64*)&entry->of;

  if (former == TRAP_BUDGET_CLAIMED || former == of ||
      __sync_val_compare_and_swap(&entry->of, former, TRAP_BUDGET_CLAIMED) != former)
    return -1;
  entry->budget.bucket.full_at_ns = now_ns; /* and not the next to go before it has paid */
  entry->budget.handshakes = 0;
  __sync_lock_test_and_set(&entry->of, of);
  return 0;
}

#define TRAP_BUDGET_OF_CLIENT 1u
#define TRAP_BUDGET_OF_NETWORK 2u

/* Where the budgets of a client and its network are, packed as in server/budgets.h: the client's
 * place in the upper half. They are made if they are not there; a client lies beside its network
 * where there is room, so that most ACKs wait for one row of the table. TRAP_NO_BUDGET if another
 * CPU takes that place at this moment, or a packet is only explained. */
TRAP_GLOBAL_FUNCTION __u64 find_budgets(__u64 client, __u64 network, __u32 wanted, __u64 now_ns) {
  __u32 of_client = TRAP_NO_BUDGET, of_network = TRAP_NO_BUDGET, way = TRAP_BUDGET_WAYS, at;
  const struct trap_server_settings* now;
  struct trap_budget_row *row, *own;
  __u32 index = 0, own_index;

  now = bpf_map_lookup_elem(&settings, &index);
  if (!now)
    return ~0ULL;
  index = trap_budget_row_of(network, &now->selector_key);
  row = bpf_map_lookup_elem(&clients, &index);
  if (!row)
    return ~0ULL;
  if (wanted & TRAP_BUDGET_OF_NETWORK) {
    way = find_in_row(row, network);
    if (way == TRAP_BUDGET_WAYS && !explaining) {
      at = way_to_give_up(row, TRAP_BUDGET_WAYS);
      if (!make_budget(row, at, network, now_ns))
        way = at;
    }
    if (way != TRAP_BUDGET_WAYS)
      of_network = index * TRAP_BUDGET_WAYS + way;
  }
  if (wanted & TRAP_BUDGET_OF_CLIENT) {
    at = find_in_row(row, client);
    if (at == TRAP_BUDGET_WAYS) {
      own_index = trap_budget_row_of(client, &now->selector_key);
      own = bpf_map_lookup_elem(&clients, &own_index);
      if (!own)
        return ~0ULL;
      at = find_in_row(own, client);
      if (at != TRAP_BUDGET_WAYS) {
        index = own_index;
      } else if (!explaining) {
        at = way_to_give_up(row, way);
        if (row->entries[at % TRAP_BUDGET_WAYS].budget.bucket.full_at_ns > now_ns) {
          row = own;
          index = own_index;
          at = way_to_give_up(row, TRAP_BUDGET_WAYS);
        }
        if (make_budget(row, at, client, now_ns))
          at = TRAP_BUDGET_WAYS;
      }
    }
    if (at != TRAP_BUDGET_WAYS)
      of_client = index * TRAP_BUDGET_WAYS + at;
  }
  return (__u64)of_client << 32 | of_network;
}

/* Takes one handshake. Without a place it is allowed: a budget is not worth an honest client. */
static __always_inline int budget_allows(__u32 place, const struct trap_rate* rate, __u64 now_ns) {
  struct trap_client_budget* budget = budget_at(place);

  if (!budget || rate->token_ns == 0)
    return 1;
  if (explaining)
    return trap_bucket_has(&budget->bucket, rate, now_ns, 1);
  __sync_fetch_and_add(&budget->handshakes, 1);
  return trap_bucket_take(&budget->bucket, rate, now_ns, 1);
}

/* Charges a completed handshake to the budgets of its client and the network around it. `allowed`
 * is the verdict for one within them. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_budgets(const struct packet_context* context, enum trap_verdict allowed) {
  const struct trap_server_settings* now = context->settings;
  const union trap_address* source = &context->packet.source;
  int v4 = context->packet.family == TRAP_IPV4;
  __u64 places;

  if (context->flags & TRAP_SERVICE_RESTS)
    return allowed; /* at peace there are no budgets */
  places = find_budgets(trap_budget_of(source, context->packet.family, v4 ? 32 : 64),
                        trap_budget_of(source, context->packet.family, v4 ? 24 : 48),
                        (now->client_handshakes.token_ns ? TRAP_BUDGET_OF_CLIENT : 0) |
                            (now->network_handshakes.token_ns ? TRAP_BUDGET_OF_NETWORK : 0),
                        context->monotonic_ns);
  if (!budget_allows((__u32)(places >> 32), &now->client_handshakes, context->monotonic_ns))
    return TRAP_DROP_CLIENT_BUDGET;
  if (!budget_allows((__u32)places, &now->network_handshakes, context->monotonic_ns))
    return TRAP_DROP_NETWORK_BUDGET;
  if (allowed == TRAP_REPLY_REDIRECT &&
      !cap_allows(TRAP_CAP_RESETS, &context->settings->resets, context->monotonic_ns))
    return TRAP_DROP_RESET_CAP;
  return allowed;
}
