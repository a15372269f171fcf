/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What trap-guard's BPF program and its daemon share: keys and values of every map. */
#ifndef TRAP_GUARD_MAPS_H
#define TRAP_GUARD_MAPS_H

#include "protocol/address.h"
#include "protocol/clock.h"
#include "protocol/keyring.h"

#define TRAP_GUARD_MAX_SERVICES 256 /* slots, slot 0 included */
#define TRAP_GUARD_MAX_TRAP_SERVERS 256
#define TRAP_GUARD_MAX_TRUSTED 256
#define TRAP_GUARD_MAX_ANNOUNCED 65536
#define TRAP_GUARD_MAX_FLOWS 262144

/* Map `ports` (array of 65536 by port in host byte order): service slot, 0 for a port that is not protected. */

/* Map `services` (array by service slot). */
struct trap_guard_service {
  __u8 scope_v4;
  __u8 scope_v6;
  __u8 reserved[6];
};

/* Map `trap_servers` (hash): key union trap_address, value __u8 1. */

/* Map `trusted` (LPM trie): prefixes whose SYNs need neither ticket nor announcement. IPv4 prefixes are 96 bits longer. */
struct trap_trusted_key {
  __u32 bits;        /* 0 to 128 */
  __be32 address[4]; /* as in union trap_address, which would be aligned to 8 */
};

#define TRAP_GUARD_TRUSTS 1u /* some prefix is trusted: look into the trie */

/* Map `settings` (array of one, mmapable): what changes while the program runs. */
struct trap_guard_settings {
  __u32 flags; /* TRAP_GUARD_... */
  __u32 reserved;
  struct trap_clock clock;
  struct trap_keyring ticket_keys;
  struct trap_keyring announce_keys;
};

/* Map `announced` (LRU hash): clients a TRAP server announced. */
struct trap_announced_key {
  union trap_address client; /* masked to the scope */
  __be16 port;
  __u8 scope;       /* as announced; looked up with the service's */
  __u8 reserved[5]; /* zero */
};

struct trap_announced {
  __u32 until_s; /* Unix time */
  __u8 tag;
  __u8 reserved[3];
};

/* Map `flows` (LRU hash): connections admitted. */
struct trap_flow_key {
  union trap_address client;
  union trap_address service;
  __be16 client_port;
  __be16 service_port;
  __u32 reserved; /* zero */
};

struct trap_guard_flow {
  __u64 seen_ns; /* CLOCK_MONOTONIC_COARSE, to the second */
};

/* A flow that was silent for this long must show a ticket, an announcement or a socket again. */
#define TRAP_FLOW_IDLE_NS (3600ULL * 1000000000ULL)

TRAP_ASSERT(sizeof(struct trap_guard_service) == 8, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_trusted_key) == 20, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_guard_settings) == 8 + 56 + 2 * 192, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_announced_key) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_announced) == 8, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_flow_key) == 40, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_guard_flow) == 8, "shared through a map");

#endif
