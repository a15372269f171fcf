/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the guard judges SYNs and announcements: by ticket, or by what a TRAP server announced (docs/protocol.md 8 to 10).
 * Maps are written here only after a MAC was right. */
#ifndef TRAP_GUARD_BPF_ADMIT_H
#define TRAP_GUARD_BPF_ADMIT_H

#include "dataplane/options.h"
#include "guard/bpf/maps.bpf.h"
#include "protocol/ticket.h"

/* What is known of a packet on its walk. */
struct encounter {
  struct trap_packet packet;
  struct trap_guard_service service;
  const struct trap_guard_settings* settings;
  __u64 monotonic_ns;
  struct trap_time now;
};

static __always_inline __u8 scope_of(const struct encounter* e) {
  return e->packet.family == TRAP_IPV4 ? e->service.scope_v4 : e->service.scope_v6;
}

static __always_inline enum trap_verdict judge_ticket(const struct encounter* e, const struct trap_ticket* ticket) {
  struct trap_grant grant = {
      .client = e->packet.source, .port = e->packet.destination_port, .family = e->packet.family, .scope = scope_of(e)};
  __u64 epoch = trap_epoch_from_byte(trap_epoch(e->now.unix_ns), ticket->epoch);
  struct trap_key key;

  if (!epoch)
    return TRAP_DROP_TICKET_EPOCH;
  if (!trap_ticket_is_live(ticket, e->now.unix_s))
    return TRAP_DROP_TICKET_EXPIRED;
  if (!trap_keyring_find(&e->settings->ticket_keys, epoch, &key))
    return TRAP_DROP_NO_KEY;
  if (trap_ticket_mac(&key, ticket, &grant) != trap_get_mac(ticket->mac))
    return TRAP_DROP_TICKET_MAC;
  return TRAP_PASS_TICKET;
}

static __always_inline int is_trusted(const struct encounter* e) {
  struct trap_trusted_key key = {.bits = 128};

  if (!(e->settings->flags & TRAP_GUARD_TRUSTS))
    return 0;
  __builtin_memcpy(key.address, &e->packet.source, sizeof(key.address));
  return bpf_map_lookup_elem(&trusted, &key) != NULL;
}

static __always_inline enum trap_verdict judge_announced(const struct encounter* e) {
  struct trap_announced_key key = {.client = trap_address_mask(e->packet.source, e->packet.family, scope_of(e)),
                                   .port = e->packet.destination_port,
                                   .scope = scope_of(e)};
  const struct trap_announced* entry = bpf_map_lookup_elem(&announced, &key);

  if (entry && entry->until_s > e->now.unix_s)
    return TRAP_PASS_ANNOUNCED;
  return is_trusted(e) ? TRAP_PASS_TRUSTED : TRAP_DROP_UNINVITED;
}

/* A SYN: a ticket decides alone, also against it; without one the announcement does. */
static __always_inline enum trap_verdict judge_syn(const struct encounter* e, const void* tcp, const void* end) {
  struct trap_option_area area;
  struct trap_option option = trap_find_option(&area, tcp, end, e->packet.header_bytes, e->packet.family);
  struct trap_ticket_body body;
  const __u8* at;

  if (option.defect != TRAP_PASS_OTHER)
    return option.defect;
  if (option.type != TRAP_TICKET)
    return judge_announced(e);
  at = trap_option_body(&area, &option, sizeof(body));
  if (!at)
    return TRAP_DROP_MALFORMED_OPTION;
  __builtin_memcpy(&body, at, sizeof(body));
  return judge_ticket(e, &body.ticket);
}

/* Stores a verified announcement; never shortens one, so that a replay changes nothing. */
static __always_inline enum trap_verdict admit_announced(const struct trap_announced_key* key, const struct trap_announced* entry) {
  const struct trap_announced* known = bpf_map_lookup_elem(&announced, key);

  if (known && known->until_s >= entry->until_s)
    return TRAP_ANNOUNCE_ACCEPTED;
  return bpf_map_update_elem(&announced, key, entry, BPF_ANY) ? TRAP_DROP_INTERNAL : TRAP_ANNOUNCE_ACCEPTED;
}

static __always_inline enum trap_verdict judge_announcement(const struct encounter* e, const struct trap_announce_body* body,
                                                            union trap_address client) {
  __u32 issued_s = TRAP_FROM_BE32(body->issued_s);
  __u32 lifetime_s = TRAP_FROM_BE16(body->lifetime_s);
  struct trap_grant grant = {.client = client, .port = e->packet.destination_port, .family = e->packet.family, .scope = scope_of(e)};
  struct trap_announced_key admitted = {.port = grant.port, .scope = grant.scope};
  struct trap_announced entry = {.until_s = issued_s + lifetime_s, .tag = body->tag};
  struct trap_key key;

  if (body->scope != grant.scope)
    return TRAP_DROP_ANNOUNCE_MALFORMED;
  if (!trap_announce_is_live(issued_s, lifetime_s, e->now.unix_s))
    return TRAP_DROP_ANNOUNCE_TIME;
  if (!trap_keyring_find(&e->settings->announce_keys, trap_epoch_of_second(issued_s), &key))
    return TRAP_DROP_ANNOUNCE_TIME;
  if (trap_announce_mac(&key, body, &grant) != trap_get_mac(body->mac))
    return TRAP_DROP_ANNOUNCE_MAC;
  admitted.client = trap_address_mask(client, grant.family, grant.scope);
  return admit_announced(&admitted, &entry);
}

/* A RST without ACK from a TRAP server's address. `otherwise` is the answer for one that carries no announcement: a RST like any other. */
static __always_inline enum trap_verdict judge_rst_from_trap_server(const struct encounter* e, const void* tcp, const void* end,
                                                                    enum trap_verdict otherwise) {
  struct trap_option_area area;
  struct trap_option option = trap_find_option(&area, tcp, end, e->packet.header_bytes, e->packet.family);
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

#endif
