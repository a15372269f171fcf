/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What trap-server's BPF program and its daemon share: keys and values of every map.
 * Slots: 0 is "no service"; the daemon gives each public address of a service a slot from 1. */
#ifndef TRAP_SERVER_MAPS_H
#define TRAP_SERVER_MAPS_H

#include "protocol/address.h"
#include "protocol/clock.h"
#include "protocol/keyring.h"
#include "protocol/wire.h"

#define TRAP_SERVER_MAX_SERVICES 256 /* slots, slot 0 included */
#define TRAP_SERVER_MAX_BACKENDS 1024
#define TRAP_SERVER_MAX_GUARDS 256
#define TRAP_SELECTION_SLOTS 4096 /* docs/protocol.md 7 */

/* Map `services` (hash). Port 0 is the address itself: it says that some service lives there, for packets without ports. */
struct trap_service_key {
  union trap_address address;
  __be16 port;
  __u16 reserved[3]; /* zero */
};

#define TRAP_SERVICE_OFFERS 1u /* send OFFER in the SYN-ACK */

struct trap_service {
  __u32 slot;
  __u32 flags;
};

/* Map `selections` (array by service slot): backend index for each selection slot. */
struct trap_selection {
  __u32 backend_count; /* 0: nothing to name */
  __u16 backends[TRAP_SELECTION_SLOTS];
};

/* Map `backends` (array by backend index). */
struct trap_backend {
  union trap_address address;
  __be16 port;
  __be16 lifetime_s; /* of its tickets */
  __u16 guard;       /* index into `guards` */
  __u8 scope_v4;
  __u8 scope_v6;
  __u8 tag;
  __u8 reserved[7];
};

/* Map `guards` (array by guard index): ticket keys. */
struct trap_server_guard {
  struct trap_keyring ticket_keys;
};

/* Map `settings` (array of one, mmapable): what changes while the program runs. */
struct trap_server_settings {
  struct trap_clock clock;
  struct trap_key selector_key;
  struct trap_keyring cookie_keys;
};

/* Ring buffer `redirected`: one record for each REDIRECT sent, for the announcement. */
struct trap_redirected {
  union trap_address client;
  __u32 service_slot;
  __u32 backend;
};

TRAP_ASSERT(sizeof(struct trap_service_key) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_service) == 8, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_selection) == 4 + 2 * TRAP_SELECTION_SLOTS, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_backend) == 32, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_server_guard) == 192, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_server_settings) == 56 + 16 + 192, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_redirected) == 24, "shared through a ring buffer");

#endif
