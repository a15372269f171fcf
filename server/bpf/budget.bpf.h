/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Limits: caps on the answers of this server, and budgets of clients that have completed
 * handshakes. Caps are counters that always exist; a client gets an entry only after its cookie was
 * right. */
#pragma once

#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/token_bucket.h"
#include "server/bpf/packet_context.bpf.h"

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

/* Takes one handshake from the budget of a client or network. */
TRAP_GLOBAL_FUNCTION int budget_allows(const struct trap_client_key* of,
                                       const struct trap_rate* rate, __u64 now_ns) {
  struct trap_client_budget* budget;
  struct trap_client_key key;

  if (!of || !rate || rate->token_ns == 0)
    return 1;
  key = *of; /* kernel 6.1 takes no key from a caller's memory: "R2 type=mem expected=fp" */
  budget = bpf_map_lookup_elem(&clients, &key);
  if (explaining)
    return !budget || trap_bucket_has(&budget->bucket, rate, now_ns, 1);
  if (!budget) {
    struct trap_client_budget fresh = {};

    bpf_map_update_elem(&clients, &key, &fresh, BPF_NOEXIST); /* another CPU may be first */
    budget = bpf_map_lookup_elem(&clients, &key);
    if (!budget)
      return 1; /* evicted at once: the table is full of other clients, and a budget is not worth an
                   honest client */
  }
  __sync_fetch_and_add(&budget->handshakes, 1);
  return trap_bucket_take(&budget->bucket, rate, now_ns, 1);
}

/* The key of a prefix of the client's address; `bits` as written for the family. */
static __always_inline struct trap_client_key client_key(const struct packet_context* context,
                                                         __u32 bits) {
  struct trap_client_key key = {
      .prefix = trap_address_mask(context->packet.source, context->packet.family, bits),
      .bits = bits};

  return key;
}

/* Charges a completed handshake to the budgets of its client and the network around it. `allowed`
 * is the verdict for one within them. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_budgets(const struct packet_context* context, enum trap_verdict allowed) {
  int v4 = context->packet.family == TRAP_IPV4;
  struct trap_client_key client = client_key(context, v4 ? 32 : 64);
  struct trap_client_key network = client_key(context, v4 ? 24 : 48);

  if (context->flags & TRAP_SERVICE_RESTS)
    return allowed; /* at peace there are no budgets */
  if (!budget_allows(&client, &context->settings->client_handshakes, context->monotonic_ns))
    return TRAP_DROP_CLIENT_BUDGET;
  if (!budget_allows(&network, &context->settings->network_handshakes, context->monotonic_ns))
    return TRAP_DROP_NETWORK_BUDGET;
  if (allowed == TRAP_REPLY_REDIRECT &&
      !cap_allows(TRAP_CAP_RESETS, &context->settings->resets, context->monotonic_ns))
    return TRAP_DROP_RESET_CAP;
  return allowed;
}
