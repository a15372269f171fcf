/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Token buckets in one word, so that CPUs share one without a lock: the generic cell rate algorithm
 * (ITU-T I.371, annex A), in which a bucket is the time at which it would be full again. A bucket
 * of zeros is full. */
#pragma once

#include <linux/types.h>

#include "protocol/assert.h"

struct trap_bucket {
  __u64 full_at_ns; /* on the caller's clock, which must not run backwards */
};

struct trap_rate {
  __u64 token_ns; /* price of a token; 0: no limit */
  __u64 burst_ns; /* content of a full bucket in the same unit: at least token_ns * chunk */
  __u32 chunk;    /* tokens that a CPU takes at once from a shared bucket; at least 1 */
  __u32 reserved;
};

TRAP_ASSERT(sizeof(struct trap_bucket) == 8, "shared through maps");
TRAP_ASSERT(sizeof(struct trap_rate) == 24, "shared through maps");

/* Are `tokens` there at now_ns? Takes none. */
TRAP_INLINE int trap_bucket_has(const struct trap_bucket* bucket, const struct trap_rate* rate,
                                __u64 now_ns, __u32 tokens) {
  __u64 full_at_ns = bucket->full_at_ns;

  return rate->token_ns == 0 ||
         (full_at_ns > now_ns ? full_at_ns : now_ns) + rate->token_ns * tokens <=
             now_ns + rate->burst_ns;
}

#define TRAP_BUCKET_TRIES 4

/* Takes `tokens` at now_ns, all or none. 1 if they were there. A CPU that loses the word at every
 * try pays first and looks then: the word is of this moment, because another CPU has just written
 * it. So no race lets a packet through that has not paid; a refund may come a moment late. */
TRAP_INLINE int trap_bucket_take(struct trap_bucket* bucket, const struct trap_rate* rate,
                                 __u64 now_ns, __u32 tokens) {
  __u64 price_ns = rate->token_ns * tokens;

  if (rate->token_ns == 0)
    return 1;
  for (int i = 0; i < TRAP_BUCKET_TRIES; i++) {
    __u64 before = *(volatile __u64*)&bucket->full_at_ns;
    __u64 full_at_ns = (before > now_ns ? before : now_ns) + price_ns;

    if (full_at_ns > now_ns + rate->burst_ns)
      return 0;
    if (__sync_val_compare_and_swap(&bucket->full_at_ns, before, full_at_ns) == before)
      return 1;
  }
  if (__sync_fetch_and_add(&bucket->full_at_ns, price_ns) + price_ns <= now_ns + rate->burst_ns)
    return 1;
  __sync_fetch_and_add(&bucket->full_at_ns, 0 - price_ns);
  return 0;
}
