/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SipHash inside the kernel: hashes the first 0 to 63 bytes of a message with the header that the
 * programs use. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "protocol/siphash.h"

struct trap_key key;
__u64 message[8];
__u64 hashes[64];

/* The hashes for 8 * count to 8 * count + 7 bytes; count is known when compiling, as everywhere in
 * the product. */
static __always_inline void hash_lengths(__u32 count) {
  __u64 words[8];

  __builtin_memcpy(words, message, sizeof(words));
  for (__u32 tail_bytes = 0; tail_bytes < 8; tail_bytes++) {
    __u64 tail = words[count] & ((1ULL << (8 * tail_bytes)) - 1);

    hashes[8 * count + tail_bytes] = trap_siphash_words(&key, words, count, tail, tail_bytes);
  }
}

SEC("xdp")
int hash_all_lengths(struct xdp_md* ctx) {
  (void)ctx;
  hash_lengths(0);
  hash_lengths(1);
  hash_lengths(2);
  hash_lengths(3);
  hash_lengths(4);
  hash_lengths(5);
  hash_lengths(6);
  hash_lengths(7);
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
