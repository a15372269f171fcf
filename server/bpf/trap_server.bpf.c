/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-server at XDP: completes three-way handshakes without state, and redirects or serves who
 * completes one. The walk: read the frame, find the service (server/bpf/packet_context.bpf.h),
 * judge a SYN (hello.h) or what comes later (completion.h), act (hello.h, redirect.h), count.
 * docs/packet-walk.md follows it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/checksum.h"
#include "dataplane/packet.h"
#include "dataplane/segment.h"
#include "dataplane/verifier.h"
#include "server/maps.h"

#define TRAP_COUNTER_SERVICES TRAP_SERVER_MAX_SERVICES
#include "dataplane/bpf/count.bpf.h"
#include "server/bpf/ack.bpf.h"
#include "server/bpf/connection_filter.bpf.h"
#include "server/bpf/handover.bpf.h"
#include "server/bpf/redirect.bpf.h"
#include "server/bpf/syn.bpf.h"
#include "server/bpf/time_wait_filter.bpf.h"

/* Sum of the 32-bit words of an IPv4 header with options. */
TRAP_GLOBAL_FUNCTION __u64 sum_ipv4_header(struct xdp_md* ctx, __u32 l3_offset, __u32 words) {
  const __u8* at = (const void*)(long)ctx->data + (l3_offset & 0x1f);
  const void* end = (const void*)(long)ctx->data_end;
  __u64 sum = 0;

  for (__u32 i = 0; i < 15 && i < words; i++) {
    TRAP_HOLD(at);
    if ((const void*)(at + 4) > end)
      break;
    sum += *(const __u32*)at;
    at += 4;
  }
  return sum;
}

/* RFC 1071 over the IPv4 header: XDP runs before the stack's check, and an answer must not go to a
 * garbled address. */
static __always_inline int ipv4_header_is_intact(struct xdp_md* ctx,
                                                 const struct trap_packet* packet, const void* data,
                                                 const void* end) {
  const __u32* word = trap_l3(packet, data);
  __u32 words = (__u32)(packet->l4_offset - packet->l3_offset) / 4;

  if (words != 5)
    return trap_sum_fold(sum_ipv4_header(ctx, packet->l3_offset, words)) == 0;
  return (const void*)(word + 5) <= end &&
         trap_sum_fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]) == 0;
}

/* What is wrong with a frame whose headers could be read; TRAP_PASS_OTHER: nothing. */
static __always_inline enum trap_verdict find_defect(struct xdp_md* ctx,
                                                     const struct trap_packet* packet,
                                                     const void* data, const void* end) {
  if (packet->l3_end > (__u64)(end - data))
    return TRAP_DROP_TRUNCATED;
  if (packet->family == TRAP_IPV4 && !ipv4_header_is_intact(ctx, packet, data, end))
    return TRAP_DROP_BAD_IP_CHECKSUM;
  return TRAP_PASS_OTHER;
}

/* Asks the stack about a segment that is no SYN: a verdict if it has the connection;
 * TRAP_PASS_OTHER: it has not, *socket says what else.
 */
static __always_inline enum trap_verdict
judge_socket(struct xdp_md* ctx, const struct packet_context* e, enum trap_socket* socket) {
  *socket = find_socket(ctx, &e->packet);
  if (*socket == TRAP_SOCKET_NONE || *socket == TRAP_SOCKET_LISTENS)
    return TRAP_PASS_OTHER;
  note_connection(e);
  if (*socket == TRAP_SOCKET_OPENS)
    return TRAP_PASS_HANDSHAKE;
  if (e->packet.flags & TRAP_TCP_FIN) /* TIME_WAIT may come before it: a socket that was closed
                                         first waits for the FIN there */
    note_closing(e);
  return TRAP_PASS_SOCKET;
}

/* A packet of a service, with every header read. The stack is asked before all else, or, about what
 * it certainly has no connection of, only if the cookie is right: a flood of ACKs costs no lookup.
 */
static __always_inline enum trap_verdict judge_segment(struct xdp_md* ctx, struct packet_context* e,
                                                       const void* data, const void* end) {
  enum trap_socket socket = TRAP_SOCKET_NONE;
  enum trap_verdict verdict;
  int is_syn = trap_segment_kind(e->packet.flags) == TRAP_SEGMENT_SYN;
  int to_ask = !is_syn && (e->flags & TRAP_SERVICE_SOCKETS);

  if (to_ask && !has_no_connection(e)) {
    verdict = judge_socket(ctx, e, &socket);
    if (verdict != TRAP_PASS_OTHER)
      return verdict;
    to_ask = 0;
  }
  verdict =
      find_defect(ctx, &e->packet, data, end); /* after the sockets: their stack looks for itself */
  if (verdict != TRAP_PASS_OTHER)
    return verdict;
  if (is_syn)
    return judge_syn(ctx, e);
  verdict = judge_later_segment(e, data, end);
  if (verdict != TRAP_REPLY_REDIRECT)
    return verdict;
  if (to_ask) {
    verdict = judge_socket(ctx, e, &socket);
    if (verdict != TRAP_PASS_OTHER)
      return verdict;
  }
  return judge_completion(e, data, end, socket);
}

/* From frame to verdict, changing nothing of it. */
static __always_inline enum trap_verdict judge(struct xdp_md* ctx, struct packet_context* e,
                                               const void* data, const void* end) {
  enum trap_layer layer = trap_read_frame(&e->packet, data, end);
  long slot;

  if (layer == TRAP_LAYER_OTHER)
    return TRAP_PASS_OTHER;
  slot = find_slot(&e->packet);
  if (slot == TRAP_NO_SLOT)
    return TRAP_PASS_OTHER;
  if (!prepare(e, (__u32)slot))
    return TRAP_DROP_INTERNAL;
  return layer == TRAP_LAYER_DEFECTIVE ? e->packet.defect : judge_segment(ctx, e, data, end);
}

/* Answers; the verdict is then that of the answer, or of why there is none. */
static __always_inline enum trap_verdict act(struct xdp_md* ctx, struct packet_context* e,
                                             enum trap_verdict verdict, __u32* bytes_out) {
  struct reply answer = {};
  struct reply* reply = &answer;
  const void* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;

  if (!e->settings ||
      !e->service) /* a verdict to reply implies them, but the verifier cannot see that */
    return TRAP_DROP_INTERNAL;
  verdict = verdict == TRAP_REPLY_SYN_ACK ? compose_syn_ack(e, reply, data, end)
                                          : compose_redirect(e, reply);
  if (trap_verdict_action(verdict) != TRAP_ACTION_REPLY)
    return verdict;
  if (resize_frame(ctx, &e->packet, reply) || write_reply(ctx, &e->packet, reply))
    return TRAP_DROP_INTERNAL;
  *bytes_out = answer.bytes_out;
  if (verdict == TRAP_REPLY_REDIRECT)
    record_redirect(e);
  return verdict;
}

SEC("xdp.frags")
int trap_server(struct xdp_md* ctx) {
  const void* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  struct packet_context e = {};
  __u32 bytes_out = 0;
  enum trap_verdict verdict = judge(ctx, &e, data, end);
  __u32 bytes_in = trap_frame_bytes(&e.packet, data, end);

  if (trap_verdict_action(verdict) == TRAP_ACTION_REPLY)
    verdict = act(ctx, &e, verdict, &bytes_out);
  if (verdict == TRAP_PASS_COOKIE && (e.flags & TRAP_SERVICE_ASSIGNS) && e.service &&
      hand_over(ctx, &e))
    verdict = TRAP_DROP_INTERNAL; /* without it the stack would reset the client */
  if ((e.flags & TRAP_SERVICE_RESTS) && trap_verdict_action(verdict) == TRAP_ACTION_DROP &&
      verdict != TRAP_DROP_INTERNAL)
    verdict = TRAP_PASS_AT_PEACE; /* the stack judges, as if TRAP were not there; what failed while
                                     it was rewritten is no packet any more */
  if (explaining)
    return explain(e.slot, verdict);
  count(e.slot, verdict, bytes_in, bytes_out);
  return xdp_action(verdict);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
