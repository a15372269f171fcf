/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* CLOCK_MONOTONIC_COARSE without a helper call for most packets: the clock moves with the timer
 * tick only, and an inlined load of jiffies tells whether there was one. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "protocol/assert.h"

/* The time of the present tick, shared by all CPUs without a lock: a reader between the writes gets
 * a clock that is one tick off, which it may be anyway. */
static volatile __u64 tick_ns;
static volatile __u64 tick_ms; /* the same in ms: a division for each tick, not for each packet */
static volatile __u64 tick_jiffies;

TRAP_INLINE __u64 coarse_ns(void) {
  __u64 jiffies = bpf_jiffies64();
  __u64 now_ns;

  if (tick_jiffies == jiffies)
    return tick_ns;
  now_ns = bpf_ktime_get_coarse_ns();
  tick_ns = now_ns;
  tick_ms = now_ns / 1000000;
  tick_jiffies = jiffies;
  return now_ns;
}

/* Milliseconds of the same clock, as of the last coarse_ns(), which must be called first. */
TRAP_INLINE __u64 coarse_ms(void) {
  return tick_ms;
}
