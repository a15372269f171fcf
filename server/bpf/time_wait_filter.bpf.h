/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that the stack may have in TIME_WAIT. Their client may reopen one with a SYN (RFC
 * 9293 3.6.1), which only the stack can judge: the ACK that completes a SYN-ACK of ours would meet
 * the old connection. A lookup for every SYN would cost the victim of a flood too much. So
 * connections that were seen to close leave a bit in a filter, and only a SYN with its bit set
 * costs a lookup. */
#pragma once

#include "dataplane/bpf/socket.bpf.h"
#include "server/bpf/connection_filter.bpf.h"
#include "server/bpf/hook.bpf.h"
#include "server/bpf/packet_context.bpf.h"

#define TRAP_GENERATION_SHIFT 36 /* of ns: 69 s, as TIME_WAIT lasts 60 */
#define TRAP_GENERATION_BITS 16  /* of a word, above 48 bits of the filter */

/* Pairs of words, one for even generations and one for odd, so that a SYN touches one cache line. A
 * word of an older generation counts as empty. 128 KiB: more would not stay in a core's cache. */
#define TRAP_TIME_WAIT_WORDS 8192

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2 * TRAP_TIME_WAIT_WORDS);
  __type(key, __u32);
  __type(value, __u64);
} time_wait_filter SEC(".maps");

static __always_inline __u64* time_wait_word(__u64 hash, __u64 generation) {
  __u32 index = (__u32)(hash >> 51) << 1 | (generation & 1);

  return bpf_map_lookup_elem(&time_wait_filter, &index);
}

static __always_inline __u64 time_wait_bit(__u64 hash) {
  return 1ULL << ((__u32)(hash >> 32) % (64 - TRAP_GENERATION_BITS) & 63);
}

/* A connection of this host sees a FIN: it is over, or will be soon. Only for packets whose socket
 * exists, so that no flood sets bits. */
static __always_inline void note_closing(const struct packet_context* context) {
  __u64 generation = context->monotonic_ns >> TRAP_GENERATION_SHIFT;
  __u64 tag = generation << (64 - TRAP_GENERATION_BITS);
  __u64 hash = connection_hash(&context->packet);
  __u64* word = time_wait_word(hash, generation);

  if (!word || explaining)
    return;
  if ((*word ^ tag) >> (64 - TRAP_GENERATION_BITS)) /* CPUs may race for a word: then a bit is lost,
                                                       for this connection only */
    *word = tag;
  *word |= time_wait_bit(hash);
}

static __always_inline int bit_is_set(__u64 hash, __u64 generation) {
  const __u64* word = time_wait_word(hash, generation);

  return word &&
         !((*word ^ generation << (64 - TRAP_GENERATION_BITS)) >> (64 - TRAP_GENERATION_BITS)) &&
         (*word & time_wait_bit(hash));
}

/* Is the SYN one for a connection in TIME_WAIT? */
static __always_inline int reopens(struct hook hook, const struct packet_context* context) {
  __u64 generation = context->monotonic_ns >> TRAP_GENERATION_SHIFT;
  __u64 hash = connection_hash(&context->packet);

  if (!bit_is_set(hash, generation) && !bit_is_set(hash, generation - 1))
    return 0;
  if (find_socket(hook.context, &context->packet) != TRAP_SOCKET_LINGERS)
    return 0;
  note_connection(context);
  return 1;
}
