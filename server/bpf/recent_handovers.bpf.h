/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The handshakes that this CPU has just handed to the stack. A poll may bring the completing ACK,
 * the request and the FIN together; this program sees all of them before the stack has the
 * connection. One handover is enough, and only the first segment has a right cookie. */
#pragma once

#include "dataplane/bpf/explain.bpf.h"
#include "server/bpf/packet_context.bpf.h"
#include "server/bpf/watched_handovers.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TRAP_RECENT_HANDOVERS);
  __type(key, __u32);
  __type(value, struct trap_recent_handover);
} recent_handovers SEC(".maps");

static __always_inline struct trap_recent_handover*
recent_handover_of(const struct trap_packet* packet) {
  __u32 index = (__u32)(trap_connection_hash(&packet->source, packet->source_port,
                                             packet->destination_port) >>
                        32) &
                (TRAP_RECENT_HANDOVERS - 1);

  return bpf_map_lookup_elem(&recent_handovers, &index);
}

/* Called only after a cookie was right: no flood writes here. */
static __always_inline void note_handover(const struct packet_context* context) {
  struct trap_recent_handover* recent = recent_handover_of(&context->packet);

  if (explaining || !recent)
    return;
  recent->client = context->packet.source;
  recent->client_port = context->packet.source_port;
  recent->slot = (__u16)context->slot;
  recent->monotonic_ns = context->monotonic_ns;
  recent->waiting = 0;
}

#define TRAP_BEHIND_CONNECTED 1u /* the stack has the connection */
#define TRAP_BEHIND_QUEUES 2u    /* segments behind a handover are queued at tc */

/* Must this segment, whose connection may not be there yet, queue behind its handshake? If the
 * connection is there, only behind others that do. */
TRAP_GLOBAL_FUNCTION int is_behind_handover(const struct trap_packet* packet, __u64 monotonic_ns,
                                            __u32 slot, __u32 circumstances) {
  struct trap_recent_handover* recent;

  if (!packet)
    return 0;
  note_arrival(packet, slot, circumstances & TRAP_BEHIND_CONNECTED);
  recent = recent_handover_of(packet);
  if (!recent || recent->client_port != packet->source_port || recent->slot != slot ||
      !trap_address_equal(&recent->client, &packet->source) ||
      (__s64)(monotonic_ns - recent->monotonic_ns) >= TRAP_RECENT_HANDOVER_NS ||
      ((circumstances & TRAP_BEHIND_CONNECTED) && !recent->waiting))
    return 0;
  if (!explaining && (circumstances & TRAP_BEHIND_QUEUES))
    recent->waiting = 1;
  return 1;
}
