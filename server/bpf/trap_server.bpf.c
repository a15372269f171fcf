/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-server at XDP or at tc: completes three-way handshakes without state, and redirects or
 * serves the clients that complete one. The walk: read the frame, find the service
 * (packet_context.bpf.h), judge a SYN (syn.bpf.h) or a later segment (ack.bpf.h), act (syn.bpf.h,
 * redirect.bpf.h), count. docs/packet-walk.md follows it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/bpf/explain.bpf.h"
#include "dataplane/checksum.h"
#include "dataplane/packet.h"
#include "dataplane/segment.h"
#include "dataplane/verifier.h"
#include "server/maps.h"

#define TRAP_COUNTER_SERVICES TRAP_SERVER_MAX_SERVICES
#include "dataplane/bpf/capture.bpf.h"
#include "dataplane/bpf/count.bpf.h"
#include "server/bpf/ack.bpf.h"
#include "server/bpf/at_tc.bpf.h"
#include "server/bpf/connection_filter.bpf.h"
#include "server/bpf/handover.bpf.h"
#include "server/bpf/hook.bpf.h"
#include "server/bpf/own_macs.bpf.h"
#include "server/bpf/recent_handovers.bpf.h"
#include "server/bpf/redirect.bpf.h"
#include "server/bpf/senders.bpf.h"
#include "server/bpf/syn.bpf.h"
#include "server/bpf/time_wait_filter.bpf.h"

/* Sum of the 32-bit words of an IPv4 header with options. */
static __always_inline __u64 sum_ipv4_words(struct hook hook, __u32 l3_offset, __u32 words) {
  const __u8* at = hook_data(hook) + (l3_offset & 0x1f);
  const void* end = hook_end(hook);
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

TRAP_GLOBAL_FUNCTION __u64 sum_ipv4_header(struct xdp_md* ctx, __u32 l3_offset, __u32 words) {
  return sum_ipv4_words(at_xdp(ctx), l3_offset, words);
}

TRAP_GLOBAL_FUNCTION __u64 sum_ipv4_header_at_tc(struct __sk_buff* skb, __u32 l3_offset,
                                                 __u32 words) {
  return sum_ipv4_words(at_tc(skb), l3_offset, words);
}

/* RFC 1071 over the IPv4 header: both hooks are before the stack's check, and an answer must not go
 * to a damaged address. */
static __always_inline int ipv4_header_is_intact(struct hook hook, const struct trap_packet* packet,
                                                 const void* data, const void* end) {
  const __u32* word = trap_l3(packet, data);
  __u32 words = (__u32)(packet->l4_offset - packet->l3_offset) / 4;

  if (words != 5)
    return trap_sum_fold(hook.is_tc ? sum_ipv4_header_at_tc(hook.context, packet->l3_offset, words)
                                    : sum_ipv4_header(hook.context, packet->l3_offset, words)) == 0;
  return (const void*)(word + 5) <= end &&
         trap_sum_fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]) == 0;
}

/* Ends the walk of a frame whose headers could be read, but which no answer may follow. */
static __always_inline TRAP_MUST_USE enum trap_walk refuse_defect(struct hook hook,
                                                                  const struct trap_packet* packet,
                                                                  const void* data, const void* end,
                                                                  enum trap_verdict* verdict) {
  if (packet->l3_end > hook_bytes(hook, data, end)) {
    *verdict = TRAP_DROP_TRUNCATED;
    return TRAP_WALK_ENDS;
  }
  if (trap_is_to_group(data, end)) {
    *verdict = TRAP_DROP_GROUP_MAC;
    return TRAP_WALK_ENDS;
  }
  if (is_to_other_host(data, end)) {
    *verdict = TRAP_PASS_OTHER_MAC;
    return TRAP_WALK_ENDS;
  }
  if (trap_address_is_martian(&packet->source, packet->family)) {
    *verdict = TRAP_DROP_MARTIAN_SOURCE;
    return TRAP_WALK_ENDS;
  }
  if (packet->family == TRAP_IPV4 && !ipv4_header_is_intact(hook, packet, data, end)) {
    *verdict = TRAP_DROP_BAD_IP_CHECKSUM;
    return TRAP_WALK_ENDS;
  }
  return TRAP_WALK_GOES_ON;
}

/* A segment, no SYN, whose connection the stack has. */
static __always_inline TRAP_MUST_USE enum trap_verdict
pass_to_socket(const struct packet_context* context, enum trap_socket socket) {
  note_connection(context);
  if (socket == TRAP_SOCKET_OPENS)
    return TRAP_PASS_HANDSHAKE;
  if (context->packet.flags & TRAP_TCP_FIN) /* TIME_WAIT may come before it: a socket that was
                                         closed first waits for the FIN there */
    note_closing(context);
  return TRAP_PASS_SOCKET;
}

/* A segment of a service, with every header read. The stack is asked first; but if it certainly has
 * no connection of the segment, only after the cookie was right, so that a flood of ACKs costs no
 * lookup. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_segment(struct hook hook, struct packet_context* context, const void* data, const void* end) {
  enum trap_socket socket = TRAP_SOCKET_NONE;
  int is_syn = trap_segment_kind(context->packet.flags) == TRAP_SEGMENT_SYN;
  int to_ask = !is_syn && (context->flags & TRAP_SERVICE_SOCKETS);
  enum trap_verdict verdict;
  enum trap_segment kind;

  if (to_ask && !has_no_connection(context)) {
    socket = find_socket(hook.context, &context->packet);
    if (is_behind_handover(&context->packet, context->monotonic_ns, context->slot,
                           (trap_socket_is_connection(socket) ? TRAP_BEHIND_CONNECTED : 0) |
                               (context->flags & TRAP_SERVICE_ASSIGNS ? TRAP_BEHIND_QUEUES : 0))) {
      if (context->packet.flags & TRAP_TCP_FIN)
        note_closing(context);
      return TRAP_PASS_BEHIND_COOKIE;
    }
    if (trap_socket_is_connection(socket))
      return pass_to_socket(context, socket);
    to_ask = 0;
  }
  /* after the sockets: their stack looks for itself */
  if (refuse_defect(hook, &context->packet, data, end, &verdict) == TRAP_WALK_ENDS)
    return verdict;
  if (is_syn)
    return judge_syn(hook, context);
  kind = trap_segment_kind(
      context->packet.flags); /* again: kept from above, it makes a larger program */
  if (kind != TRAP_SEGMENT_ACK && !(kind == TRAP_SEGMENT_FIN && serves(context)))
    return refuse_by_flags(kind);
  switch (check_cookie(context, data, end)) {
  case COOKIE_WITHOUT_KEY:
    return TRAP_DROP_NO_KEY;
  case COOKIE_WRONG:
    return context->packet.flags & TRAP_TCP_FIN ? TRAP_DROP_FIN : TRAP_DROP_BAD_COOKIE;
  case COOKIE_RIGHT:
    break;
  }
  if (to_ask) {
    socket = find_socket(hook.context, &context->packet);
    if (trap_socket_is_connection(socket))
      return pass_to_socket(context, socket);
  }
  return judge_completion(context, data, end, socket);
}

/* From frame to verdict; changes nothing of the frame. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge(struct hook hook, struct packet_context* context, const void* data, const void* end) {
  enum trap_layer layer = trap_read_frame(&context->packet, data, end);
  __u32 slot = 0;

  if (layer == TRAP_LAYER_OTHER || !find_slot(&context->packet, &slot))
    return TRAP_PASS_OTHER;
  if (!prepare(context, slot))
    return TRAP_DROP_INTERNAL;
  if (hook.is_tc && layer == TRAP_LAYER_DEFECTIVE &&
      is_too_long_to_say(hook.context, context->packet.defect))
    return TRAP_PASS_OTHER;
  return layer == TRAP_LAYER_DEFECTIVE ? context->packet.defect
                                       : judge_segment(hook, context, data, end);
}

/* Answers. Returns the verdict of the answer, or the reason why there is none. */
static __always_inline TRAP_MUST_USE enum trap_verdict
act(struct hook hook, struct packet_context* context, enum trap_verdict verdict, __u32* bytes_out) {
  struct reply answer = {};
  struct reply* reply = &answer;
  const void* data = hook_data(hook);
  const void* end = hook_end(hook);

  if (!context->settings ||
      !context->service) /* a verdict to reply implies them, but the verifier cannot see that */
    return TRAP_DROP_INTERNAL;
  verdict = verdict == TRAP_REPLY_SYN_ACK ? compose_syn_ack(context, reply, data, end)
                                          : compose_redirect(context, reply);
  if (trap_verdict_action(verdict) != TRAP_ACTION_REPLY)
    return verdict;
  answer.hop_limit = context->service->hop_limit ?: TRAP_REPLY_HOPS;
  answer.traffic_class = context->service->traffic_class;
  if (hook.is_tc ? turn_into_reply_at_tc(hook.context, &context->packet, reply)
                 : turn_into_reply(hook.context, &context->packet, reply))
    return TRAP_DROP_INTERNAL;
  if (context->flags & TRAP_SERVICE_NEXT_HOPS)
    hook.is_tc ? lead_to_next_hop_at_tc(hook.context) : lead_to_next_hop(hook.context);
  *bytes_out = answer.bytes_out;
  if (verdict == TRAP_REPLY_REDIRECT)
    record_redirect(context);
  return verdict;
}

SEC("xdp.frags")
int trap_server(struct xdp_md* ctx) {
  const void* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  struct packet_context context = {};
  __u32 bytes_out = 0;
  enum trap_verdict verdict = judge(at_xdp(ctx), &context, data, end);
  __u32 bytes_in = trap_frame_bytes(&context.packet, data, end);

  sample_sender(at_xdp(ctx), &context, verdict);
  if (trap_verdict_action(verdict) == TRAP_ACTION_REPLY)
    verdict = act(at_xdp(ctx), &context, verdict, &bytes_out);
  if ((verdict == TRAP_PASS_COOKIE || verdict == TRAP_PASS_BEHIND_COOKIE) && context.service &&
      hand_over(ctx, &context, verdict))
    verdict = TRAP_DROP_INTERNAL; /* without it the stack would reset the client */
  if ((context.flags & TRAP_SERVICE_RESTS) && trap_verdict_action(verdict) == TRAP_ACTION_DROP &&
      verdict != TRAP_DROP_INTERNAL)
    verdict = TRAP_PASS_AT_PEACE; /* the stack judges, as if TRAP were not there; but a packet whose
                                     rewriting failed is not fit for it */
  if (explaining)
    return explain(context.slot, verdict);
  count(context.slot, verdict, bytes_in, bytes_out);
  if (is_capturing())
    capture_frame(
        ctx,
        sample_of(context.slot, verdict,
                  trap_verdict_action(verdict) == TRAP_ACTION_REPLY ? TRAP_CAPTURED_LEAVES : 0));
  if (verdict == TRAP_PASS_OTHER) /* returns only if no program is behind this one */
    bpf_tail_call(ctx, &behind, ctx->ingress_ifindex);
  return xdp_action(verdict);
}

/* The same at tc ingress, where a frame may lie in pieces, and must not be written to in place: the
 * kernel would copy each frame of another namespace of this host first, whatever its verdict. */
SEC("?tc")
int trap_server_tc(struct __sk_buff* skb) {
  struct packet_context context = {};
  const struct trap_handover* test;
  const void *data, *end;
  enum trap_verdict verdict;
  __u32 bytes_in, bytes_out = 0;
  int again = skb->tc_index == TRAP_AGAIN;

  test = find_test(skb);
  if (test)
    return take_test(skb, test);
  if (again)
    skb->tc_index = 0;
  gather_headers(skb);
  data = (const void*)(long)skb->data;
  end = (const void*)(long)skb->data_end;
  verdict = judge(at_tc(skb), &context, data, end);
  bytes_in = context.packet.l3_end ?: skb->len;
  sample_sender(at_tc(skb), &context, verdict);
  if (trap_verdict_action(verdict) == TRAP_ACTION_REPLY)
    verdict = act(at_tc(skb), &context, verdict, &bytes_out);
  if ((context.flags & TRAP_SERVICE_RESTS) && trap_verdict_action(verdict) == TRAP_ACTION_DROP &&
      verdict != TRAP_DROP_INTERNAL)
    verdict = TRAP_PASS_AT_PEACE; /* as above */
  if (explaining)
    return explain(context.slot, verdict);
  if (!again || trap_verdict_action(verdict) != TRAP_ACTION_PASS) /* else it was counted before */
    count(context.slot, verdict, bytes_in, bytes_out);
  if (is_capturing())
    capture_packet(
        skb,
        sample_of(context.slot, verdict,
                  trap_verdict_action(verdict) == TRAP_ACTION_REPLY ? TRAP_CAPTURED_LEAVES : 0));
  if (verdict == TRAP_PASS_COOKIE || verdict == TRAP_PASS_BEHIND_COOKIE)
    return hand_over_at_tc(skb, &context, verdict, again);
  return tc_action(skb, verdict);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
