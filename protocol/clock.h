/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Time as docs/protocol.md 4 counts it, from a monotonic clock that user space relates to Unix
 * time. No division: 64-bit division costs up to 90 cycles, a packet has about 100. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

#define TRAP_WINDOW_SHIFT 36
#define TRAP_EPOCH_SHIFT 42
#define TRAP_WINDOWS_PER_EPOCH_SHIFT (TRAP_EPOCH_SHIFT - TRAP_WINDOW_SHIFT)
#define TRAP_TICKET_TIME_SHIFT 2

/* One moment on both clocks. User space renews it; a program goes on from the last one alone, off
 * by 0.1 ppm. */
struct trap_clock_anchor {
  __u64 monotonic_ns; /* CLOCK_MONOTONIC_COARSE, which bpf_ktime_get_coarse_ns reads */
  __u64 unix_ns;
  __u64 unix_s; /* unix_ns / 10^9 */
};

/* Two anchors, so that one can be rewritten while programs read the other; active is 0 or 1. */
struct trap_clock {
  struct trap_clock_anchor anchors[2];
  __u32 active;
  __u32 reserved;
};

TRAP_ASSERT(sizeof(struct trap_clock) == 56, "clock layout is shared through a map");

struct trap_time {
  __u64 unix_ns;
  __u32 unix_s;
};

/* ns to s by multiplication: ns / 2^20 * (2^52 / 10^9) / 2^32; an hour comes out 0.3 ms long. */
TRAP_INLINE __u64 trap_ns_to_s(__u64 ns) {
  return ((ns >> 20) * 4503600ULL) >> 32;
}

TRAP_INLINE struct trap_time trap_time_at(const struct trap_clock* clock, __u64 monotonic_ns) {
  const struct trap_clock_anchor* anchor = &clock->anchors[clock->active & 1];
  __s64 since_ns = (__s64)(monotonic_ns - anchor->monotonic_ns);
  struct trap_time time;

  if (since_ns < 0) /* signed, as clang 14 makes a carry flag of the comparison of unsigned ones, in
                       five instructions */
    since_ns = 0;
  time.unix_ns = anchor->unix_ns + (__u64)since_ns;
  time.unix_s = (__u32)(anchor->unix_s + trap_ns_to_s((__u64)since_ns));
  return time;
}

TRAP_INLINE __u64 trap_epoch(__u64 unix_ns) {
  return unix_ns >> TRAP_EPOCH_SHIFT;
}

TRAP_INLINE __u32 trap_cookie_window(__u64 unix_ns) {
  return (__u32)(unix_ns >> TRAP_WINDOW_SHIFT);
}

TRAP_INLINE __u16 trap_ticket_time(__u32 unix_s) {
  return (__u16)(unix_s >> TRAP_TICKET_TIME_SHIFT);
}

/* Epoch of an announcement's issue time. */
TRAP_INLINE __u64 trap_epoch_of_second(__u32 unix_s) {
  return ((__u64)unix_s * 1000000000ULL) >> TRAP_EPOCH_SHIFT;
}
