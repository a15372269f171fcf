/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A sample of the handshakes that go up to the stack. A firewall, another tc program or address
 * translation may lose them on their way, which this program cannot see; the daemon asks the stack
 * for each of the sample (server/daemon/serving/handover_sampler.h). */
#pragma once

#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/checksum.h"
#include "dataplane/options.h"
#include "dataplane/syn_options.h"
#include "server/bpf/hook.bpf.h"
#include "server/bpf/packet_context.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_WATCHED_HANDOVERS);
  __type(key, __u32);
  __type(value, struct trap_watched_handover);
} watched_handovers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TRAP_SERVER_MAX_SERVICES);
  __type(key, __u32);
  __type(value, __u64);
} handed_over SEC(".maps");

static __always_inline struct trap_watched_handover*
watched_handover_of(const struct trap_packet* packet) {
  __u32 index = (__u32)(trap_connection_hash(&packet->source, packet->source_port,
                                             packet->destination_port) >>
                        40) &
                (TRAP_WATCHED_HANDOVERS - 1);

  return bpf_map_lookup_elem(&watched_handovers, &index);
}

/* Called only after a cookie was right. */
static __always_inline void count_handed_over(__u32 slot) {
  __u64* count = bpf_map_lookup_elem(&handed_over, &slot);

  if (count && !explaining)
    (*count)++;
}

enum tcp_sum { TCP_SUM_WRONG, TCP_SUM_RIGHT, TCP_SUM_PARTIAL };

#define TRAP_BARE_WORDS 5
#define TRAP_STAMPED_WORDS 8 /* with NOP, NOP, timestamps */

/* Judges a bare ACK with the options of every stack, and nothing else: a client could have any
 * other kind of segment dropped by the stack at will. */
static __always_inline enum tcp_sum tcp_sum_of(struct hook hook, const struct trap_packet* packet) {
  const __u32* word = trap_l4(packet, hook_data(hook));
  const void* end = hook_end(hook);
  __u32 ip_bytes = packet->family == TRAP_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  __u32 bytes = packet->header_bytes;
  __u64 pseudo = trap_sum_pseudo(&packet->source, &packet->destination, packet->family, bytes);
  __u64 sum = pseudo;

  if (packet->l4_offset != packet->l3_offset + ip_bytes ||
      packet->l3_end != packet->l4_offset + bytes || (const void*)(word + TRAP_BARE_WORDS) > end)
    return TCP_SUM_WRONG;
  if (((const struct trap_tcp*)word)->checksum == (__be16)~trap_sum_fold(pseudo))
    sum = 0;
  else
    for (int i = 0; i < TRAP_BARE_WORDS; i++)
      sum += word[i];
  if (bytes != 4 * TRAP_BARE_WORDS) {
    if (bytes != 4 * TRAP_STAMPED_WORDS || (const void*)(word + TRAP_STAMPED_WORDS) > end ||
        word[TRAP_BARE_WORDS] != TRAP_BE32(TRAP_TCPOPT_NOP << 24 | TRAP_TCPOPT_NOP << 16 |
                                           TRAP_TCPOPT_TIMESTAMPS << 8 | 10))
      return TCP_SUM_WRONG;
    if (sum)
      for (int i = TRAP_BARE_WORDS; i < TRAP_STAMPED_WORDS; i++)
        sum += word[i];
  }
  if (!sum)
    return TCP_SUM_PARTIAL;
  return trap_sum_fold(sum) ? TCP_SUM_WRONG : TCP_SUM_RIGHT;
}

static __always_inline int watch(struct hook hook, const struct trap_packet* packet, __u32 slot,
                                 __u64 monotonic_ns, __u32 flags) {
  struct trap_watched_handover* watched;
  enum tcp_sum sum;

  /* a connection that its client ends at once may be gone when the daemon asks */
  if (explaining || !packet || packet->flags & TRAP_TCP_FIN)
    return 0;
  watched = watched_handover_of(packet);
  if (!watched || watched->state != TRAP_WATCH_FREE)
    return 0;
  sum = tcp_sum_of(hook, packet);
  if (sum == TCP_SUM_WRONG || __sync_val_compare_and_swap(&watched->state, TRAP_WATCH_FREE,
                                                          TRAP_WATCH_WRITTEN) != TRAP_WATCH_FREE)
    return 0;
  watched->client = packet->source;
  watched->client_port = packet->source_port;
  watched->slot = (__u16)slot;
  watched->monotonic_ns = monotonic_ns;
  watched->interface_index = hook_interface(hook);
  watched->flags = flags | (sum == TCP_SUM_PARTIAL ? TRAP_WATCHED_PARTIAL : 0);
  __sync_val_compare_and_swap(&watched->state, TRAP_WATCH_WRITTEN, TRAP_WATCH_WAITS);
  return 1;
}

/* Takes a handshake that goes up into the sample, if its place is free. `flags`: those that the
 * caller knows, of TRAP_WATCHED_... */
TRAP_GLOBAL_FUNCTION int watch_handover(struct xdp_md* ctx, const struct trap_packet* packet,
                                        __u32 slot, __u64 monotonic_ns, __u32 flags) {
  return watch(at_xdp(ctx), packet, slot, monotonic_ns, flags);
}

TRAP_GLOBAL_FUNCTION int watch_handover_at_tc(struct __sk_buff* skb,
                                              const struct trap_packet* packet, __u32 slot,
                                              __u64 monotonic_ns, __u32 flags) {
  return watch(at_tc(skb), packet, slot, monotonic_ns, flags);
}

/* A segment that is no SYN, and whether the stack has its connection. A connection that its client
 * ends before the stack has it may be gone when the daemon asks. */
static __always_inline void note_arrival(const struct trap_packet* packet, __u32 slot,
                                         int has_connection) {
  struct trap_watched_handover* watched = watched_handover_of(packet);

  if (explaining || !watched || watched->state != TRAP_WATCH_WAITS || watched->slot != slot ||
      watched->client_port != packet->source_port ||
      !trap_address_equal(&watched->client, &packet->source))
    return;
  if (has_connection)
    watched->state = TRAP_WATCH_ARRIVED;
  else if (packet->flags & (TRAP_TCP_FIN | TRAP_TCP_RST))
    watched->state = TRAP_WATCH_ENDED;
}
