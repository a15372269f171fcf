/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What bounds abuse: caps on what this server sends, and budgets of clients who have completed
 * handshakes. Caps are counters that exist anyway; an entry for a client is made only after his
 * cookie was right. */
#pragma once

#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/token_bucket.h"
#include "server/bpf/packet_context.bpf.h"

/* Would cap_allows() allow it? Of the chunks this looks at this CPU's only. */
static __always_inline int cap_would_allow(__u32 cap_index, const struct trap_rate* rate,
                                           __u64 now_ns) {
  const __u64* left = bpf_map_lookup_elem(&allowances, &cap_index);
  const struct trap_cap* cap = bpf_map_lookup_elem(&caps, &cap_index);

  return left && cap && (*left || trap_bucket_has(&cap->bucket, rate, now_ns, rate->chunk));
}

/* Takes one token of a cap, from this CPU's chunk if it has some left. */
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
static __always_inline enum trap_verdict judge_syn_ack_caps(const struct packet_context* e) {
  if ((e->flags & TRAP_SERVICE_CAPPED) &&
      !cap_allows(TRAP_CAP_SERVICE + e->slot, &e->service->syn_acks, e->monotonic_ns))
    return TRAP_DROP_SERVICE_CAP;
  return cap_allows(TRAP_CAP_SYN_ACKS, &e->settings->syn_acks, e->monotonic_ns)
             ? TRAP_REPLY_SYN_ACK
             : TRAP_DROP_SYN_ACK_CAP;
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
      return 1; /* evicted at once: the table is full of others, and a budget is not worth an honest
                   client */
  }
  __sync_fetch_and_add(&budget->handshakes, 1);
  return trap_bucket_take(&budget->bucket, rate, now_ns, 1);
}

/* The key of a prefix of the client's address; `bits` as written for the family. */
static __always_inline struct trap_client_key client_key(const struct packet_context* e,
                                                         __u32 bits) {
  struct trap_client_key key = {
      .prefix = trap_address_mask(e->packet.source, e->packet.family, bits), .bits = bits};

  return key;
}

/* A completed handshake against the budgets of its client and of the network around. `allowed` is
 * the verdict for one within them. */
static __always_inline enum trap_verdict judge_budgets(const struct packet_context* e,
                                                       enum trap_verdict allowed) {
  int v4 = e->packet.family == TRAP_IPV4;
  struct trap_client_key client = client_key(e, v4 ? 32 : 64);
  struct trap_client_key network = client_key(e, v4 ? 24 : 48);

  if (e->flags & TRAP_SERVICE_RESTS)
    return allowed; /* at peace nobody is held to anything */
  if (!budget_allows(&client, &e->settings->client_handshakes, e->monotonic_ns))
    return TRAP_DROP_CLIENT_BUDGET;
  if (!budget_allows(&network, &e->settings->network_handshakes, e->monotonic_ns))
    return TRAP_DROP_NETWORK_BUDGET;
  if (allowed == TRAP_REPLY_REDIRECT &&
      !cap_allows(TRAP_CAP_RESETS, &e->settings->resets, e->monotonic_ns))
    return TRAP_DROP_RESET_CAP;
  return allowed;
}
