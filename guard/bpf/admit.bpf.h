/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SYNs and announcements at the guard: a SYN is admitted by its ticket, or by the announcement of a
 * TRAP server (docs/protocol.md 8 to 10). Maps are written here only after a MAC was right. */
#pragma once

#include "dataplane/options.h"
#include "dataplane/syn_options.h"
#include "guard/bpf/announced.bpf.h"
#include "guard/bpf/budget.bpf.h"
#include "protocol/consent.h"
#include "protocol/ticket.h"

/* A ticket and the packet that presents it. */
struct presented {
  union trap_address client;
  struct trap_ticket ticket;
  __be16 port;
  __u8 family;
  __u8 scope;
  __u8 kind; /* of the option, once it was found */
  __u8 header_bytes;
  __u8 is_right; /* the ticket is known to be */
};

/* All but the ticket itself. Only where there is one: a flood of SYNs without pays nothing for it.
 */
static __always_inline void present(struct presented* presented,
                                    const struct packet_context* context) {
  presented->client = context->packet.source;
  presented->port = context->packet.destination_port;
  presented->family = context->packet.family;
  presented->scope = scope_of(context);
  presented->kind = 0;
  presented->header_bytes = context->packet.header_bytes;
}

/* TRAP_PASS_TICKET if the ticket is right for the packet's source and port, else the reason. */
static __always_inline TRAP_MUST_USE enum trap_verdict
check_ticket(const struct presented* presented, const struct trap_guard_settings* now,
             __u64 monotonic_ns) {
  struct trap_grant grant = {.client = presented->client,
                             .port = presented->port,
                             .family = presented->family,
                             .scope = presented->scope};
  struct trap_time time = trap_time_at(&now->clock, monotonic_ns);
  __u64 epoch = trap_epoch_from_byte(trap_epoch(time.unix_ns), presented->ticket.epoch);
  struct trap_key key;

  if (!epoch)
    return TRAP_DROP_TICKET_EPOCH;
  if (!trap_ticket_is_live(&presented->ticket, time.unix_s, now->clock_skew_s))
    return TRAP_DROP_TICKET_EXPIRED;
  if (!trap_keyring_find(&now->ticket_keys, epoch, &key))
    return TRAP_DROP_NO_KEY;
  if (trap_ticket_mac(&key, &presented->ticket, &grant) != trap_get_mac(presented->ticket.mac))
    return TRAP_DROP_TICKET_MAC;
  return TRAP_PASS_TICKET;
}

/* The same for a ticket in an unusual place, out of the way of a flood. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict
check_unusual_ticket(const struct presented* presented) {
  __u32 zero = 0;
  const struct trap_guard_settings* now = bpf_map_lookup_elem(&settings, &zero);

  return presented && now ? check_ticket(presented, now, coarse_ns()) : TRAP_DROP_INTERNAL;
}

static __always_inline int is_trusted(const struct packet_context* context) {
  struct trap_trusted_key key = {.bits = 128};

  if (!(context->settings->flags & TRAP_GUARD_TRUSTS))
    return 0;
  __builtin_memcpy(key.address, &context->packet.source, sizeof(key.address));
  return bpf_map_lookup_elem(&trusted, &key) != NULL;
}

/* The value of CONSENT for a ticket, out of the way of a flood. */
TRAP_GLOBAL_FUNCTION __u32 consent_to(const struct presented* presented) {
  return presented ? trap_consent(&presented->ticket) : 0;
}

/* Not 0 if some byte of the word is that byte (Mycroft's test, exact where none is). */
static __always_inline __u64 has_byte(__u64 word, __u64 byte) {
  word ^= byte * 0x0101010101010101ULL;
  return (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;
}

static __always_inline __u64 has_our_kind(__u64 word) {
  return has_byte(word, TRAP_KIND_RESERVED) | has_byte(word, TRAP_KIND_EXPERIMENTAL);
}

/* Could one of the options be TRAP's? Answers without a walk: not if they are exactly those of a
 * Linux SYN, nor if no byte among them is one of TRAP's kinds. The last words overlap, with each
 * other or with the header before the options. */
static __always_inline int may_have_option(const void* tcp, const void* end, __u32 header_bytes) {
  const __u8* at = (const __u8*)tcp + TRAP_TCP_HEADER_BYTES;
  __u64 last = (header_bytes - 8) & 0x3c;
  __u64 found;

  if (header_bytes == TRAP_TCP_HEADER_BYTES)
    return 0;
  if (header_bytes == TRAP_TCP_HEADER_BYTES + TRAP_LINUX_OPTION_BYTES &&
      (const void*)(at + TRAP_LINUX_OPTION_BYTES) <= end && trap_are_linux_options(at))
    return 0;
  TRAP_HOLD(last);
  if ((const __u8*)tcp + last + 8 > (const __u8*)end)
    return 1;
  found = has_our_kind(TRAP_LOAD64((const __u8*)tcp + last));
  for (__u32 i = TRAP_TCP_HEADER_BYTES;
       i < TRAP_TCP_HEADER_BYTES + TRAP_TCP_OPTIONS_MAX - 8 && i + 8 < header_bytes; i += 8) {
    TRAP_HOLD(at);
    if ((const void*)(at + 8) > end)
      return 1;
    found |= has_our_kind(TRAP_LOAD64(at));
    at += 8;
  }
  return found != 0;
}

/* Reads a ticket at any offset of a packet, in words. */
static __always_inline void read_ticket(struct trap_ticket* ticket, const __u8* at) {
  __u32 head = TRAP_LOAD32(at);

  ticket->epoch = (__u8)head;
  ticket->tag = (__u8)(head >> 8);
  ticket->expiry = (__be16)(head >> 16);
  trap_put_mac(ticket->mac, TRAP_LOAD64(at + 4));
}

/* Copies the ticket of a SYN that a Linux host made and its client appended a ticket to. 0 if the
 * SYN is of another form: what stands in the last place of other options may be behind EOL, or a
 * part of another option, and is left to the walk. */
static __always_inline TRAP_MUST_USE int read_usual_ticket(const void* tcp, const void* end,
                                                           __u32 header_bytes,
                                                           struct trap_ticket* ticket) {
  const __u8* options = (const __u8*)tcp + TRAP_TCP_HEADER_BYTES;
  const __u8* at = options + TRAP_LINUX_OPTION_BYTES;
  __u32 difference;

  if ((const void*)(at + TRAP_TICKET_OPTION_BYTES) > end)
    return 0;
  difference = (header_bytes ^
                (TRAP_TCP_HEADER_BYTES + TRAP_LINUX_OPTION_BYTES + TRAP_TICKET_OPTION_BYTES)) |
               trap_unlike_linux_options(options) |
               ((TRAP_LOAD32(at) & TRAP_BE32(0xffffff00)) ^
                TRAP_BE32(TRAP_KIND_RESERVED << 24 | TRAP_TICKET_OPTION_BYTES << 16 |
                          (TRAP_VERSION << 4 | TRAP_TICKET) << 8));
  if (difference)
    return 0;
  read_ticket(ticket, at + TRAP_HEADER_BYTES + sizeof(((struct trap_ticket_body*)0)->flags));
  return 1;
}

static __always_inline int are_equal_tickets(const struct trap_ticket* a,
                                             const struct trap_ticket* b) {
  return a->epoch == b->epoch && a->tag == b->tag && a->expiry == b->expiry &&
         trap_get_mac(a->mac) == trap_get_mac(b->mac);
}

/* Walks the options of a SYN behind the TCP header at l4_offset of the frame, finds its ticket
 * wherever it is, and checks it, unless it is the one that `presented` holds and is known to be
 * right. TRAP_PASS_TICKET, TRAP_DROP_UNINVITED if it has none, or the refusal. A function by
 * itself: with what it needs of the packet in registers, the verifier followed the search for an
 * announcement once for each number of options. */
TRAP_GLOBAL_FUNCTION TRAP_MUST_USE enum trap_verdict
check_options(struct xdp_md* ctx, __u32 l4_offset, struct presented* presented) {
  const __u8* tcp = (const __u8*)(long)ctx->data + (l4_offset & TRAP_L4_OFFSET_MASK);
  struct trap_option_area area;
  struct trap_ticket_body body;
  struct trap_option option;
  const __u8* at;

  if (!presented)
    return TRAP_DROP_INTERNAL;
  option = trap_find_option(&area, tcp, (const void*)(long)ctx->data_end, presented->header_bytes,
                            presented->family);
  if (option.defect != TRAP_OPTIONS_SOUND)
    return trap_verdict_of_options(option.defect);
  if (option.type != TRAP_TICKET)
    return TRAP_DROP_UNINVITED;
  at = trap_option_body(&area, &option, sizeof(body));
  if (!at)
    return TRAP_DROP_MALFORMED_OPTION;
  __builtin_memcpy(&body, at, sizeof(body));
  presented->kind = option.experimental ? TRAP_KIND_EXPERIMENTAL : TRAP_KIND_RESERVED;
  if (presented->is_right && are_equal_tickets(&presented->ticket, &body.ticket))
    return TRAP_PASS_TICKET;
  presented->ticket = body.ticket;
  return check_unusual_ticket(presented);
}

/* Whose a SYN without a ticket is. TRAP_PASS_ANNOUNCED or TRAP_PASS_TRUSTED, or the refusal. */
static __always_inline TRAP_MUST_USE enum trap_verdict
find_invitation(const struct packet_context* context, __u8* tag) {
  if (is_announced(context, tag))
    return TRAP_PASS_ANNOUNCED;
  return is_trusted(context) ? TRAP_PASS_TRUSTED : TRAP_DROP_UNINVITED;
}

/* TRAP_FLOW_EARLY_DATA if the SYN has data, by arithmetic: kernel 6.1 would follow what comes
 * behind a branch twice. */
static __always_inline __u8 early_data_flag(const struct trap_packet* packet) {
  __s32 bytes = (__s32)trap_payload_bytes(packet);

  bytes = -bytes;
  TRAP_HOLD(bytes);
  return (__u8)(bytes >> 31) & TRAP_FLOW_EARLY_DATA;
}

/* A SYN that no stack answers, however it is invited: it is to have no flow, and to pay for none. A
 * source that no host can have is trusted by a prefix around it. A frame to a group of hosts may be
 * for a service elsewhere, whose cluster has such an address. */
static __always_inline TRAP_MUST_USE enum trap_walk
refuse_unanswerable(struct xdp_md* ctx, const struct packet_context* context,
                    enum trap_verdict* verdict) {
  const void* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;

  if (trap_address_is_martian(&context->packet.source, context->packet.family)) {
    *verdict = TRAP_DROP_MARTIAN_SOURCE;
    return TRAP_WALK_ENDS;
  }
  if ((context->port.flags & TRAP_PORT_SOCKETS) && context->packet.l3_offset >= ETH_HLEN &&
      trap_is_to_group(data, end)) {
    *verdict = TRAP_DROP_GROUP_MAC;
    return TRAP_WALK_ENDS;
  }
  return TRAP_WALK_GOES_ON;
}

/* A SYN that is invited, by `verdict`. */
static __always_inline TRAP_MUST_USE enum trap_verdict
open_invited(struct xdp_md* ctx, const struct packet_context* context,
             const struct presented* presented, enum trap_verdict verdict) {
  struct opening opening = opening_of(context, presented->ticket.tag);

  if (refuse_unanswerable(ctx, context, &verdict) == TRAP_WALK_ENDS)
    return verdict;
  opening.subject.flow_flags = early_data_flag(&context->packet) | TRAP_FLOW_HALF_OPEN;
  if (verdict == TRAP_PASS_TICKET) {
    opening.key.consent = consent_to(presented);
    opening.subject.consent_kind = presented->kind;
  }
  if (verdict != TRAP_PASS_TRUSTED)
    return admit(&opening, verdict);
  return open_flow(&opening) == ADDED ? verdict : TRAP_DROP_INTERNAL;
}

/* A SYN: a ticket decides alone, also against it; without one the announcement does. Most SYNs of a
 * flood are refused before their options cost anything: those with a wrong ticket in the usual
 * place, and those without a ticket from a client that is not invited. An admitted SYN has at most
 * one TRAP option, and options that parse. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_syn(struct xdp_md* ctx, const struct packet_context* context, const void* tcp,
          const void* end) {
  struct presented presented;
  enum trap_verdict verdict;
  __u8 tag = 0;

  presented.is_right = 0;
  if (read_usual_ticket(tcp, end, context->packet.header_bytes, &presented.ticket)) {
    present(&presented, context);
    verdict = check_ticket(&presented, context->settings, context->monotonic_ns);
    if (verdict != TRAP_PASS_TICKET)
      return verdict;
    presented.is_right = 1;
  } else if (!may_have_option(tcp, end, context->packet.header_bytes) &&
             !is_announced(context, &tag) && !is_trusted(context)) {
    return TRAP_DROP_UNINVITED;
  } else {
    presented.ticket = (struct trap_ticket){};
    present(&presented, context);
  }
  verdict = check_options(ctx, context->packet.l4_offset, &presented);
  if (verdict == TRAP_PASS_TICKET)
    return is_tag_of_pool(context, presented.ticket.tag)
               ? open_invited(ctx, context, &presented, TRAP_PASS_TICKET)
               : TRAP_DROP_TICKET_POOL;
  if (verdict != TRAP_DROP_UNINVITED)
    return verdict;
  presented.ticket.tag = 0;
  verdict = find_invitation(context, &presented.ticket.tag);
  return verdict == TRAP_DROP_UNINVITED ? verdict : open_invited(ctx, context, &presented, verdict);
}

/* Notes for the operator how far the clock of an announcing TRAP server is off, or that it is
 * configured for another scope, whose tickets are wrong here too. */
static __always_inline void note_peer(const struct packet_context* context, __u32 issued_s,
                                      __u8 scope) {
  struct trap_guard_peer* peer = bpf_map_lookup_elem(&trap_servers, &context->packet.source);
  __u32 now_s = unix_time(context).unix_s;

  if (!peer || explaining)
    return;
  if (scope != scope_of(context)) {
    peer->other_scope = scope;
    peer->other_scope_port = context->packet.destination_port;
    peer->other_scope_s = now_s;
    return;
  }
  if (peer->other_scope_port == context->packet.destination_port)
    peer->other_scope_s = 0;
  peer->announcements++; /* a race of CPUs miscounts by one */
  peer->heard_s = now_s;
  peer->skew_s = (__s32)(issued_s - now_s);
}

/* Reads the ANNOUNCE of a RST without ACK from the address of a TRAP server: `body` and the client
 * in `grant`. TRAP_ANNOUNCE_ACCEPTED if it can be one, TRAP_PASS_FLOW if there is none. */
static __always_inline TRAP_MUST_USE enum trap_verdict
read_announcement(const struct packet_context* context, const void* tcp, const void* end,
                  struct trap_announce_body* body, struct trap_grant* grant) {
  struct trap_option_area area;
  struct trap_option option =
      trap_find_option(&area, tcp, end, context->packet.header_bytes, context->packet.family);
  const __u8* at;

  if (option.defect != TRAP_OPTIONS_SOUND)
    return TRAP_DROP_ANNOUNCE_MALFORMED;
  if (option.type != TRAP_ANNOUNCE)
    return TRAP_PASS_FLOW;
  at = trap_option_body(&area, &option,
                        sizeof(*body) + (context->packet.family == TRAP_IPV4 ? 4 : 16));
  if (!at)
    return TRAP_DROP_ANNOUNCE_MALFORMED;
  __builtin_memcpy(body, at, sizeof(*body));
  if (context->packet.family == TRAP_IPV4) {
    __be32 address;

    __builtin_memcpy(&address, at + sizeof(*body), 4);
    grant->client = trap_address_v4(address);
  } else {
    __builtin_memcpy(&grant->client, at + sizeof(*body), 16);
  }
  grant->port = context->packet.destination_port;
  grant->family = context->packet.family;
  grant->scope = body->scope;
  return body->scope > (grant->family == TRAP_IPV4 ? 32 : 128) ? TRAP_DROP_ANNOUNCE_MALFORMED
                                                               : TRAP_ANNOUNCE_ACCEPTED;
}

/* Whom a TRAP server announced, when, and until when. */
struct announcement {
  struct trap_announced_key key;
  struct trap_announced value;
  __u32 issued_s;
};

/* The announcement in a RST, as far as its own words and its MAC say: TRAP_ANNOUNCE_ACCEPTED if the
 * server meant it, TRAP_PASS_FLOW if there is none. A function by itself, as admit_announced() is:
 * the programs have no stack for either (kernel 6.1, "combined stack size of 2 calls is 544";
 * bpf.stacks). */
static __noinline TRAP_MUST_USE enum trap_verdict
find_announcement(const struct packet_context* context, const void* tcp, const void* end,
                  struct announcement* announcement) {
  struct trap_announce_body body;
  struct trap_grant grant;
  struct trap_key key;
  __u32 issued_s, lifetime_s;
  enum trap_verdict verdict = read_announcement(context, tcp, end, &body, &grant);

  if (verdict != TRAP_ANNOUNCE_ACCEPTED)
    return verdict;
  issued_s = TRAP_FROM_BE32(body.issued_s);
  lifetime_s = TRAP_FROM_BE16(body.lifetime_s);
  if (!trap_announce_is_live(issued_s, lifetime_s, unix_time(context).unix_s,
                             context->settings->clock_skew_s) ||
      !trap_keyring_find(&context->settings->announce_keys, trap_epoch_of_second(issued_s), &key))
    return TRAP_DROP_ANNOUNCE_TIME;
  if (trap_announce_mac(&key, &body, &grant) != trap_get_mac(body.mac))
    return TRAP_DROP_ANNOUNCE_MAC;
  announcement->key =
      (struct trap_announced_key){.client = grant.client, .port = grant.port, .scope = grant.scope};
  announcement->value = (struct trap_announced){.until_s = issued_s + lifetime_s, .tag = body.tag};
  announcement->issued_s = issued_s;
  return TRAP_ANNOUNCE_ACCEPTED;
}

/* An announcement that its server meant. */
static __always_inline TRAP_MUST_USE enum trap_verdict
judge_announcement(const struct packet_context* context, struct announcement* announcement) {
  struct trap_announced_key* key = &announcement->key;

  note_peer(context, announcement->issued_s, key->scope);
  if (key->scope != scope_of(context))
    return TRAP_DROP_ANNOUNCE_MALFORMED;
  if (!is_tag_of_pool(context, announcement->value.tag))
    return TRAP_DROP_ANNOUNCE_POOL;
  if (has_pools(context))
    key->pool = pool_of_address(&context->packet.destination);
  key->client = trap_address_mask(key->client, context->packet.family, key->scope);
  return admit_announced(context, key, &announcement->value);
}
