/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that the stack may have. A question to the stack costs two lookups, which a flood of
 * ACKs would cause for each packet. So every connection of the stack leaves a bit in a filter, and
 * a packet without its bit is judged by its cookie alone. The daemon sets the bits of connections
 * that this program never saw, and says until when a missing bit proves that there is none. */
#pragma once

#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/segment.h"
#include "server/bpf/packet_context.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_CONNECTION_FILTER_WORDS);
  __type(key, __u32);
  __type(value, struct trap_connection_filter);
} connection_filter SEC(".maps");

static __always_inline __u64 connection_hash(const struct trap_packet* packet) {
  return trap_connection_hash(&packet->source, packet->source_port, packet->destination_port);
}

/* The stack has this connection, or is about to have it. Called only after the stack said so or a
 * cookie was right: no flood sets bits. */
static __always_inline void note_connection(const struct packet_context* context) {
  __u64 hash = connection_hash(&context->packet);
  __u32 index = trap_connection_filter_word(hash);
  struct trap_connection_filter* word = bpf_map_lookup_elem(&connection_filter, &index);
  __u64* bits;

  if (explaining || !word)
    return;
  bits = context->settings->connection_filter_generation & 1 ? &word->bits[1] : &word->bits[0];
  if (!(*bits & trap_connection_filter_bit(hash)))
    __sync_fetch_and_or(
        bits, trap_connection_filter_bit(hash)); /* a lost bit would be a lost connection */
}

/* Is there certainly no connection of this segment? Never for a SYN-ACK or RST, which may answer a
 * SYN that this host has just sent. */
static __always_inline int has_no_connection(const struct packet_context* context) {
  enum trap_segment kind = trap_segment_kind(context->packet.flags);
  __u64 hash;
  __u32 index;
  const struct trap_connection_filter* word;

  if (kind != TRAP_SEGMENT_ACK && kind != TRAP_SEGMENT_FIN)
    return 0;
  if ((context->flags & TRAP_SERVICE_RESTS) ||
      context->monotonic_ns >= context->settings->connection_filter_until_ns)
    return 0;
  hash = connection_hash(&context->packet);
  index = trap_connection_filter_word(hash);
  word = bpf_map_lookup_elem(&connection_filter, &index);
  return word && !((word->bits[0] | word->bits[1]) & trap_connection_filter_bit(hash));
}
