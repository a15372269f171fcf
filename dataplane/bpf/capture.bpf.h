/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of every walk, beside the count: while a daemon asks for it, a sample of the packets with
 * the verdicts that it wants goes into a ring buffer, as TRAP left them. Otherwise one load of a
 * constant address is all that it costs. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/captured.h"
#include "dataplane/verifier.h"

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 18);
} captured SEC(".maps");

/* Of this program alone: the twin that explains has another. */
struct trap_capture_order capture_order;

static __always_inline int is_wanted(__u32 verdict) {
  return verdict < TRAP_VERDICT_COUNT &&
         capture_order.wanted[verdict >> 6 & 1] >> (verdict & 63) & 1;
}

/* NULL if there is no room. The caller submits it. */
static __always_inline struct trap_captured* reserve_sample(void) {
  struct trap_captured* sample = bpf_ringbuf_reserve(&captured, sizeof(*sample), 0);

  if (!sample)
    __sync_fetch_and_add(&capture_order.lost, 1);
  return sample;
}

/* What a sample is about, in one register: the functions below must do without a stack, because
 * the programs that call them use nearly all of it. */
static __always_inline __u32 sample_of(__u32 slot, enum trap_verdict verdict, __u32 flags) {
  return slot << 16 | flags << 8 | verdict;
}

static __always_inline void describe(struct trap_captured* sample, __u32 about) {
  __sync_fetch_and_add(&capture_order.left, -1);
  sample->monotonic_ns = bpf_ktime_get_ns();
  sample->captured_bytes = 0;
  sample->slot = about >> 16;
  sample->verdict = about & 0xff;
  sample->flags = about >> 8 & 0xff;
}

/* How many bytes of the packet to load: 1 to TRAP_CAPTURE_BYTES. Counted from 0, because kernel 6.1
 * does not learn from `bytes != 0` that a number is at least 1. */
static __always_inline __u64 bytes_to_load(__u32 packet_bytes) {
  __u64 last = packet_bytes - 1U;

  if (last >= TRAP_CAPTURE_BYTES)
    last = TRAP_CAPTURE_BYTES - 1;
  TRAP_HOLD(last);
  return (last & (TRAP_CAPTURE_BYTES - 1)) + 1;
}

TRAP_GLOBAL_FUNCTION int capture_frame(struct xdp_md* ctx, __u32 about) {
  struct trap_captured* sample;
  __u64 bytes;

  if (!is_wanted(about & 0xff))
    return 0;
  sample = reserve_sample();
  if (!sample)
    return 0;
  describe(sample, about);
  sample->ifindex = ctx->ingress_ifindex;
  sample->packet_bytes = (__u32)bpf_xdp_get_buff_len(ctx);
  bytes = bytes_to_load(sample->packet_bytes);
  if (!bpf_xdp_load_bytes(ctx, 0, sample->bytes, bytes))
    sample->captured_bytes = (__u32)bytes;
  bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);
  return 0;
}

TRAP_GLOBAL_FUNCTION int capture_packet(struct __sk_buff* skb, __u32 about) {
  struct trap_captured* sample;
  __u64 bytes;

  if (!is_wanted(about & 0xff))
    return 0;
  sample = reserve_sample();
  if (!sample)
    return 0;
  describe(sample, about);
  sample->ifindex = skb->ifindex;
  sample->packet_bytes = skb->len;
  bytes = bytes_to_load(sample->packet_bytes);
  if (!bpf_skb_load_bytes(skb, 0, sample->bytes, bytes))
    sample->captured_bytes = (__u32)bytes;
  bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);
  return 0;
}

static __always_inline int is_capturing(void) {
  return capture_order.left > 0;
}
