/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Last stop of every packet walk: the verdict is counted, and only here does it become an action of
 * the hook. The including program defines TRAP_COUNTER_SERVICES, the number of service slots. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/verdict.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TRAP_COUNTER_SERVICES* TRAP_VERDICT_SLOTS);
  __type(key, __u32);
  __type(value, struct trap_count);
} counters SEC(".maps");

/* bytes_out is 0 unless the packet was answered. */
TRAP_INLINE void count(__u32 service_slot, enum trap_verdict verdict, __u32 bytes_in,
                       __u32 bytes_out) {
  __u32 index = service_slot * TRAP_VERDICT_SLOTS + verdict;
  struct trap_count* counted = bpf_map_lookup_elem(&counters, &index);

  if (!counted)
    return;
  counted->packets++; /* per CPU, and no hook of ours interrupts itself */
  counted->bytes_in += bytes_in;
  counted->bytes_out += bytes_out;
}

TRAP_INLINE TRAP_MUST_USE int xdp_action(enum trap_verdict verdict) {
  switch (trap_verdict_action(verdict)) {
  case TRAP_ACTION_PASS:
    return XDP_PASS;
  case TRAP_ACTION_REPLY:
    return XDP_TX;
  default:
    return XDP_DROP;
  }
}
