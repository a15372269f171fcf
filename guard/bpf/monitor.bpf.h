/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Mode "monitor": a packet that would be dropped passes and is counted apart; now and then its
 * source is recorded. */
#pragma once

#include "guard/bpf/flow.bpf.h"
#include "guard/bpf/packet_context.bpf.h"

#define TRAP_SUSPECT_INTERVAL_NS                                                                   \
  10000000ULL /* between two records, so that a flood does not fill the ring buffer */

static volatile __u64 suspect_named_ns;

/* `now`: the settings; NULL if the walk has not looked them up. */
static __always_inline int is_enforced(const struct trap_guard_settings* now) {
  __u32 zero = 0;

  if (!now)
    now = bpf_map_lookup_elem(&settings, &zero);
  return !now || now->enforced_until_ns == TRAP_GUARD_ALWAYS ||
         coarse_ns() < now->enforced_until_ns;
}

static __always_inline void count_monitored(__u32 slot, enum trap_verdict verdict, __u32 bytes) {
  __u32 index = slot * TRAP_VERDICT_SLOTS + verdict;
  struct trap_count* counted = bpf_map_lookup_elem(&monitored, &index);

  if (!counted)
    return;
  counted->packets++;
  counted->bytes_in += bytes;
}

static __always_inline void name_suspect(const struct trap_packet* packet, __u32 slot,
                                         enum trap_verdict verdict) {
  struct trap_suspect* suspect; /* in the ring buffer: the stack has no room */
  __u64 now_ns = coarse_ns();

  if (!packet->family || now_ns - suspect_named_ns < TRAP_SUSPECT_INTERVAL_NS)
    return;
  suspect_named_ns = now_ns;
  suspect = bpf_ringbuf_reserve(&suspects, sizeof(*suspect), 0);
  if (!suspect)
    return;
  *suspect = (struct trap_suspect){.source = packet->source, .slot = slot, .verdict = verdict};
  bpf_ringbuf_submit(suspect, 0);
}

/* A SYN that passes although it was refused: its answer must not have the CONSENT of an earlier
 * ticket. */
TRAP_GLOBAL_FUNCTION int withdraw_consent(const struct trap_flow_key* key) {
  struct trap_guard_flow* flow;
  union standing before, after;

  if (!key || explaining)
    return 0;
  flow = find_half_open(key, hash_flow(key), coarse_ns());
  if (!flow)
    return 0;
  before = after = standing_of(flow);
  after.consent_kind = 0;
  return change_standing(flow, before, after);
}
