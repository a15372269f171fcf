/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the guard judges SYNs and announcements: by ticket, or by what a TRAP server announced
 * (docs/protocol.md 8 to 10). Maps are written here only after a MAC was right. */
#pragma once

#include "dataplane/options.h"
#include "dataplane/syn_options.h"
#include "guard/bpf/announced.bpf.h"
#include "guard/bpf/budget.bpf.h"
#include "protocol/ticket.h"

/* TRAP_PASS_TICKET, or why not. */
static __always_inline enum trap_verdict judge_ticket(const struct packet_context* e,
                                                      const struct trap_ticket* ticket) {
  struct trap_grant grant = {.client = e->packet.source,
                             .port = e->packet.destination_port,
                             .family = e->packet.family,
                             .scope = scope_of(e)};
  struct trap_time now = unix_time(e);
  __u64 epoch = trap_epoch_from_byte(trap_epoch(now.unix_ns), ticket->epoch);
  struct trap_key key;

  if (!epoch)
    return TRAP_DROP_TICKET_EPOCH;
  if (!trap_ticket_is_live(ticket, now.unix_s, e->settings->clock_skew_s))
    return TRAP_DROP_TICKET_EXPIRED;
  if (!trap_keyring_find(&e->settings->ticket_keys, epoch, &key))
    return TRAP_DROP_NO_KEY;
  if (trap_ticket_mac(&key, ticket, &grant) != trap_get_mac(ticket->mac))
    return TRAP_DROP_TICKET_MAC;
  return TRAP_PASS_TICKET;
}

static __always_inline int is_trusted(const struct packet_context* e) {
  struct trap_trusted_key key = {.bits = 128};

  if (!(e->settings->flags & TRAP_GUARD_TRUSTS))
    return 0;
  __builtin_memcpy(key.address, &e->packet.source, sizeof(key.address));
  return bpf_map_lookup_elem(&trusted, &key) != NULL;
}

/* A SYN without a ticket. */
static __always_inline enum trap_verdict judge_announced(const struct packet_context* e) {
  int tag = announced_tag(e);

  if (tag >= 0)
    return admit(e, (__u8)tag, TRAP_PASS_ANNOUNCED);
  if (!is_trusted(e))
    return TRAP_DROP_UNINVITED;
  remember_flow(e, 0);
  return TRAP_PASS_TRUSTED;
}

/* Not 0 if some byte of the word is that byte (Mycroft's test, exact where none is). */
static __always_inline __u64 has_byte(__u64 word, __u64 byte) {
  word ^= byte * 0x0101010101010101ULL;
  return (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;
}

static __always_inline __u64 has_our_kind(__u64 word) {
  return has_byte(word, TRAP_KIND_RESERVED) | has_byte(word, TRAP_KIND_EXPERIMENTAL);
}

/* Could the options hold one of TRAP's? Without a walk: they are a Linux SYN's and no others, or is
 * a byte among them one of TRAP's kinds? The last words overlap, with each other or with the header
 * before the options. */
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

#define TRAP_TICKET_OPTION_BYTES (TRAP_HEADER_BYTES + (__u32)sizeof(struct trap_ticket_body))

/* A ticket at any place of a packet, in words. */
static __always_inline void read_ticket(struct trap_ticket* ticket, const __u8* at) {
  __u32 head = TRAP_LOAD32(at);

  ticket->epoch = (__u8)head;
  ticket->tag = (__u8)(head >> 8);
  ticket->expiry = (__be16)(head >> 16);
  trap_put_mac(ticket->mac, TRAP_LOAD64(at + 4));
}

/* Copies the ticket that clients append as the last option. 0 if there is none in that place. */
static __always_inline int last_option_is_ticket(const void* tcp, const void* end,
                                                 __u32 header_bytes, struct trap_ticket* ticket) {
  __u64 offset = header_bytes - TRAP_TICKET_OPTION_BYTES;
  const __u8* at;
  __u32 head;

  if (header_bytes < TRAP_TCP_HEADER_BYTES + TRAP_TICKET_OPTION_BYTES)
    return 0;
  offset &= 0x3f;
  TRAP_HOLD(offset);
  at = (const __u8*)tcp + offset;
  if ((const void*)(at + TRAP_TICKET_OPTION_BYTES) > end)
    return 0;
  head = TRAP_LOAD32(at);
  if ((head & TRAP_BE32(0xffffff00)) !=
      TRAP_BE32(TRAP_KIND_RESERVED << 24 | TRAP_TICKET_OPTION_BYTES << 16 |
                (TRAP_VERSION << 4 | TRAP_TICKET) << 8))
    return 0;
  read_ticket(ticket, at + TRAP_HEADER_BYTES + 1);
  return 1;
}

/* The walk over the options of a SYN that may have a ticket, wherever it is. */
static __always_inline enum trap_verdict
judge_options(const struct packet_context* e, const void* tcp, const void* end, __u8* tag) {
  struct trap_option_area area;
  struct trap_option option =
      trap_find_option(&area, tcp, end, e->packet.header_bytes, e->packet.family);
  struct trap_ticket_body body;
  const __u8* at;

  if (option.defect != TRAP_PASS_OTHER)
    return option.defect;
  if (option.type != TRAP_TICKET)
    return TRAP_PASS_ANNOUNCED; /* stands for: no ticket */
  at = trap_option_body(&area, &option, sizeof(body));
  if (!at)
    return TRAP_DROP_MALFORMED_OPTION;
  __builtin_memcpy(&body, at, sizeof(body));
  *tag = body.ticket.tag;
  return judge_ticket(e, &body.ticket);
}

/* A SYN: a ticket decides alone, also against it; without one the announcement does. What most of a
 * flood has is refused before anything is spent on its options: a wrong ticket where clients put
 * it, and no ticket from a client that is not invited. Who is let in has at most one TRAP option,
 * and options that parse. */
static __always_inline enum trap_verdict judge_syn(const struct packet_context* e, const void* tcp,
                                                   const void* end) {
  struct trap_ticket ticket;
  enum trap_verdict verdict;
  __u8 tag = 0;

  if (last_option_is_ticket(tcp, end, e->packet.header_bytes, &ticket)) {
    verdict = judge_ticket(e, &ticket);
    if (verdict != TRAP_PASS_TICKET)
      return verdict;
  } else if (!may_have_option(tcp, end, e->packet.header_bytes) && announced_tag(e) < 0 &&
             !is_trusted(e)) {
    return TRAP_DROP_UNINVITED;
  }
  verdict = judge_options(e, tcp, end, &tag);
  if (verdict == TRAP_PASS_ANNOUNCED)
    return judge_announced(e);
  return verdict == TRAP_PASS_TICKET ? admit(e, tag, TRAP_PASS_TICKET) : verdict;
}

/* What the announcement shows of its TRAP server's clock, for the operator. */
static __always_inline void note_peer(const struct packet_context* e, __u32 issued_s) {
  struct trap_guard_peer* peer = bpf_map_lookup_elem(&trap_servers, &e->packet.source);
  __u32 now_s = unix_time(e).unix_s;

  if (!peer || explaining)
    return;
  peer->announcements++; /* CPUs may race for it: an announcement more or less */
  peer->heard_s = now_s;
  peer->skew_s = (__s32)(issued_s - now_s);
}

static __always_inline enum trap_verdict judge_announcement(const struct packet_context* e,
                                                            const struct trap_announce_body* body,
                                                            union trap_address client) {
  __u32 issued_s = TRAP_FROM_BE32(body->issued_s);
  __u32 lifetime_s = TRAP_FROM_BE16(body->lifetime_s);
  struct trap_grant grant = {.client = client,
                             .port = e->packet.destination_port,
                             .family = e->packet.family,
                             .scope = scope_of(e)};
  struct trap_announced_key admitted = {.port = grant.port, .scope = grant.scope};
  struct trap_announced value = {.until_s = issued_s + lifetime_s, .tag = body->tag};
  struct trap_key key;

  if (body->scope != grant.scope)
    return TRAP_DROP_ANNOUNCE_MALFORMED;
  if (!trap_announce_is_live(issued_s, lifetime_s, unix_time(e).unix_s, e->settings->clock_skew_s))
    return TRAP_DROP_ANNOUNCE_TIME;
  if (!trap_keyring_find(&e->settings->announce_keys, trap_epoch_of_second(issued_s), &key))
    return TRAP_DROP_ANNOUNCE_TIME;
  if (trap_announce_mac(&key, body, &grant) != trap_get_mac(body->mac))
    return TRAP_DROP_ANNOUNCE_MAC;
  note_peer(e, issued_s);
  admitted.client = trap_address_mask(client, grant.family, grant.scope);
  return admit_announced(e, &admitted, &value);
}

/* A RST without ACK from a TRAP server's address. `otherwise` is the answer for one that carries no
 * announcement: a RST like any other. */
static __always_inline enum trap_verdict judge_rst_from_trap_server(const struct packet_context* e,
                                                                    const void* tcp,
                                                                    const void* end,
                                                                    enum trap_verdict otherwise) {
  struct trap_option_area area;
  struct trap_option option =
      trap_find_option(&area, tcp, end, e->packet.header_bytes, e->packet.family);
  struct trap_announce_body body;
  union trap_address client;
  const __u8* at;

  if (option.defect != TRAP_PASS_OTHER)
    return TRAP_DROP_ANNOUNCE_MALFORMED;
  if (option.type != TRAP_ANNOUNCE)
    return otherwise;
  at = trap_option_body(&area, &option, sizeof(body) + (e->packet.family == TRAP_IPV4 ? 4 : 16));
  if (!at)
    return TRAP_DROP_ANNOUNCE_MALFORMED;
  __builtin_memcpy(&body, at, sizeof(body));
  if (e->packet.family == TRAP_IPV4) {
    __be32 address;

    __builtin_memcpy(&address, at + sizeof(body), 4);
    client = trap_address_v4(address);
  } else {
    __builtin_memcpy(&client, at + sizeof(body), 16);
  }
  return judge_announcement(e, &body, client);
}
