/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-server at XDP: completes three-way handshakes without state and answers them with a redirect.
 * The walk: read the frame, find the service, judge, act (server/bpf/reply.h), count. docs/packet-walk.md follows it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/checksum.h"
#include "dataplane/options.h"
#include "dataplane/packet.h"
#include "dataplane/segment.h"
#include "dataplane/verifier.h"
#include "protocol/cookie.h"
#include "protocol/ticket.h"
#include "server/maps.h"

#define TRAP_COUNTER_SERVICES TRAP_SERVER_MAX_SERVICES
#include "dataplane/bpf/count.h"
#include "server/bpf/maps.bpf.h"
#include "server/bpf/reply.h"

/* What is known of a packet on its walk. */
struct encounter {
  struct trap_packet packet;
  struct trap_service service; /* slot 0: none */
  const struct trap_server_settings* settings;
  struct trap_time now;
  __u32 backend;
};

/* The service a packet is addressed to; by its address alone if it has no ports. NULL: none of ours. */
static __always_inline const struct trap_service* find_service(const struct trap_packet* packet) {
  struct trap_service_key key = {.address = packet->destination, .port = packet->has_ports ? packet->destination_port : 0};

  if (packet->has_ports && packet->destination_port == 0)
    return NULL; /* port 0 stands for the address in the map */
  return bpf_map_lookup_elem(&services, &key);
}

static __always_inline struct trap_connection connection_of(const struct trap_packet* packet, __be32 client_isn) {
  struct trap_connection connection = {
      .client = packet->source,
      .server = packet->destination,
      .client_port = packet->source_port,
      .server_port = packet->destination_port,
      .client_isn = client_isn,
      .family = packet->family,
  };
  return connection;
}

/* RFC 1071 over the IPv4 header: XDP runs before the stack's check, and an answer must not go to a garbled address. */
static __always_inline int ipv4_header_is_intact(const struct trap_packet* packet, const void* data, const void* end) {
  const __u8* l3 = data + packet->l3_offset;
  __u32 words = (__u32)(packet->l4_offset - packet->l3_offset) / 4;
  __u64 sum = 0;

  for (__u32 i = 0; i < 15 && i < words; i++) {
    TRAP_HOLD(l3);
    if (l3 + 4 > (const __u8*)end)
      return 0;
    sum += *(const __u32*)l3;
    l3 += 4;
  }
  return trap_sum_fold(sum) == 0;
}

/* An ACK that completes a handshake of ours: one hash decides, then the few that pass are looked at closely. */
static __always_inline enum trap_verdict judge_ack(struct encounter* e, const void* data, const void* end) {
  const struct trap_packet* packet = &e->packet;
  __u32 cookie = TRAP_FROM_BE32(packet->ack) - 1;
  __u32 window = trap_cookie_window_of(cookie, trap_cookie_window(e->now.unix_ns));
  struct trap_connection connection = connection_of(packet, TRAP_BE32(TRAP_FROM_BE32(packet->seq) - 1));
  struct trap_option_area area;
  struct trap_option option;
  struct trap_key key;

  if (!trap_keyring_find(&e->settings->cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT, &key))
    return TRAP_DROP_NO_KEY;
  if (trap_cookie(&key, &connection, window) != cookie)
    return TRAP_DROP_BAD_COOKIE;
  option = trap_find_option(&area, data + packet->l4_offset, end, packet->header_bytes, packet->family);
  if (option.defect != TRAP_PASS_OTHER)
    return option.defect;
  return TRAP_REPLY_REDIRECT;
}

static __always_inline enum trap_verdict judge_segment(struct encounter* e, const void* data, const void* end) {
  switch (trap_segment_kind(e->packet.flags)) {
  case TRAP_SEGMENT_SYN:
    return TRAP_REPLY_SYN_ACK;
  case TRAP_SEGMENT_ACK:
    return judge_ack(e, data, end);
  case TRAP_SEGMENT_RST:
    return TRAP_DROP_RST;
  case TRAP_SEGMENT_FIN:
    return TRAP_DROP_FIN;
  case TRAP_SEGMENT_SYN_ACK:
    return TRAP_DROP_SYN_ACK;
  case TRAP_SEGMENT_NULL:
    return TRAP_DROP_NULL;
  default:
    return TRAP_DROP_BAD_FLAGS;
  }
}

/* From frame to verdict, changing nothing. */
static __always_inline enum trap_verdict judge(struct encounter* e, const void* data, const void* end) {
  enum trap_layer layer = trap_read_frame(&e->packet, data, end);
  const struct trap_service* service;
  __u32 zero = 0;

  if (layer == TRAP_LAYER_OTHER)
    return TRAP_PASS_OTHER;
  service = find_service(&e->packet);
  if (!service)
    return TRAP_PASS_OTHER;
  e->service = *service;
  if (layer == TRAP_LAYER_DEFECTIVE)
    return e->packet.defect;
  if (e->packet.l3_end > (__u64)(end - data))
    return TRAP_DROP_TRUNCATED;
  if (e->packet.family == TRAP_IPV4 && !ipv4_header_is_intact(&e->packet, data, end))
    return TRAP_DROP_BAD_IP_CHECKSUM;
  e->settings = bpf_map_lookup_elem(&settings, &zero);
  if (!e->settings)
    return TRAP_DROP_INTERNAL;
  e->now = trap_time_at(&e->settings->clock, bpf_ktime_get_coarse_ns());
  return judge_segment(e, data, end);
}

static __always_inline enum trap_verdict reply_with_syn_cookie(struct xdp_md* ctx, const struct encounter* e) {
  __u32 window = trap_cookie_window(e->now.unix_ns);
  struct trap_connection connection = connection_of(&e->packet, e->packet.seq);
  struct reply reply = {.flags = TRAP_TCP_SYN | TRAP_TCP_ACK};
  struct trap_key key;

  if (!trap_keyring_find(&e->settings->cookie_keys, window >> TRAP_WINDOWS_PER_EPOCH_SHIFT, &key))
    return TRAP_DROP_NO_KEY;
  reply.seq = TRAP_BE32(trap_cookie(&key, &connection, window));
  reply.ack = TRAP_BE32(TRAP_FROM_BE32(e->packet.seq) + 1);
  if (!(e->service.flags & TRAP_SERVICE_OFFERS))
    return send_reply(ctx, &e->packet, &reply, 0, TRAP_REPLY_SYN_ACK);
  put_offer(&reply);
  return send_reply(ctx, &e->packet, &reply, hello_words(), TRAP_REPLY_SYN_ACK);
}

/* The backend of a verified client, by the table that user space computed (docs/protocol.md 7). */
static __always_inline const struct trap_backend* select_backend(struct encounter* e) {
  __u32 slot = e->service.slot;
  const struct trap_selection* selection = bpf_map_lookup_elem(&selections, &slot);
  union trap_address client;
  __u32 index;
  __u64 hash;

  if (!selection || selection->backend_count == 0)
    return NULL;
  client = e->packet.source;
  if (e->packet.family == TRAP_IPV4) {
    hash = trap_siphash_words(&e->settings->selector_key, NULL, 0, client.be32[3], 4);
  } else {
    client = trap_address_mask(client, TRAP_IPV6, TRAP_SCOPE_V6);
    hash = trap_siphash_words(&e->settings->selector_key, client.raw64, 2, 0, 0);
  }
  index = selection->backends[hash & (TRAP_SELECTION_SLOTS - 1)];
  e->backend = index;
  return bpf_map_lookup_elem(&backends, &index);
}

/* Tells user space, which announces the client to the guard. A full ring loses an announcement, never a redirect: the ticket admits too. */
static __always_inline void record_redirect(const struct encounter* e) {
  struct trap_redirected record = {.client = e->packet.source, .service_slot = e->service.slot, .backend = e->backend};

  bpf_ringbuf_output(&redirected, &record, sizeof(record), 0);
}

static __always_inline enum trap_verdict reply_with_redirect(struct xdp_md* ctx, struct encounter* e) {
  const struct trap_backend* backend = select_backend(e);
  const struct trap_server_guard* guard;
  struct trap_key key;
  struct trap_ticket ticket;
  struct trap_grant grant;
  struct reply reply = {.flags = TRAP_TCP_RST | TRAP_TCP_ACK};
  __u64 epoch = trap_epoch(e->now.unix_ns);
  enum trap_verdict verdict;
  __u32 guard_index;

  if (!backend)
    return TRAP_DROP_NO_BACKEND;
  guard_index = backend->guard;
  guard = bpf_map_lookup_elem(&guards, &guard_index);
  if (!guard || !trap_keyring_find(&guard->ticket_keys, epoch, &key))
    return TRAP_DROP_NO_KEY;
  grant.client = e->packet.source;
  grant.port = backend->port;
  grant.family = e->packet.family;
  grant.scope = e->packet.family == TRAP_IPV4 ? backend->scope_v4 : backend->scope_v6;
  ticket = trap_ticket_make(&key, epoch, e->now.unix_s, TRAP_FROM_BE16(backend->lifetime_s), backend->tag, &grant);
  reply.seq = e->packet.ack;
  reply.ack = TRAP_BE32(TRAP_FROM_BE32(e->packet.seq) + trap_payload_bytes(&e->packet));
  put_redirect(&reply, backend, &ticket, e->packet.family);
  verdict = e->packet.family == TRAP_IPV4 ? send_reply(ctx, &e->packet, &reply, redirect_words(TRAP_IPV4), TRAP_REPLY_REDIRECT)
                                          : send_reply(ctx, &e->packet, &reply, redirect_words(TRAP_IPV6), TRAP_REPLY_REDIRECT);
  if (verdict == TRAP_REPLY_REDIRECT)
    record_redirect(e);
  return verdict;
}

SEC("xdp.frags")
int trap_server(struct xdp_md* ctx) {
  struct encounter e = {};
  enum trap_verdict verdict = judge(&e, (const void*)(long)ctx->data, (const void*)(long)ctx->data_end);

  if (e.settings && verdict == TRAP_REPLY_SYN_ACK) /* a verdict to reply implies settings, which the verifier cannot see */
    verdict = reply_with_syn_cookie(ctx, &e);
  else if (e.settings && verdict == TRAP_REPLY_REDIRECT)
    verdict = reply_with_redirect(ctx, &e);
  count(e.service.slot, verdict);
  return xdp_action(verdict);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
