/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys and values of every map that trap-server's BPF program and its daemon share.
 * Slots: 0 is "no service"; the daemon gives each public address of a service a slot from 1. */
#pragma once

#include "dataplane/captured.h"
#include "dataplane/token_bucket.h"
#include "protocol/address.h"
#include "protocol/clock.h"
#include "protocol/keyring.h"
#include "protocol/wire.h"

#define TRAP_SERVER_MAX_SERVICES 1024 /* slots, slot 0 included */
#define TRAP_SERVER_MAX_POOLS 1024
#define TRAP_SERVER_MAX_BACKENDS 10240
#define TRAP_SERVER_MAX_GUARDS 256
#define TRAP_SERVER_MAX_POLICIES 1048576 /* client prefixes of one service */
#define TRAP_SELECTION_SLOTS 4096        /* docs/protocol.md 7 */
#define TRAP_BEHIND_INTERFACES 4096      /* interfaces with a lower index can be shared */

/* Map `service_table` (array): a hash table by address and port, laid out by the daemon, so that a
 * packet finds its service, or that it has none, without a helper call. A key lies at its home
 * place or at one of the next TRAP_PLACE_PROBES - 1; a search ends at a place that was never taken.
 * Port 0 stands for the address itself: some service lives there, for packets that show no ports.
 */
#define TRAP_PLACES 16384
#define TRAP_PLACE_PROBES 8

enum trap_place_state {
  TRAP_PLACE_NEVER_TAKEN,
  TRAP_PLACE_TAKEN,
  TRAP_PLACE_LEFT, /* empty again: a search goes on behind it */
};

struct trap_place {
  __u32 slot;
  __be16 port;
  __u8 state; /* enum trap_place_state */
  __u8 reserved[9];
  union trap_address address;
};

/* Home place of a key. Fibonacci hashing suffices: no attacker chooses public addresses. */
TRAP_INLINE __u32 trap_place_of(const union trap_address* address, __be16 port) {
  __u64 mixed = (address->raw64[0] ^ address->raw64[1] * 0xff51afd7ed558ccdULL ^ port) *
                0x9e3779b97f4a7c15ULL;

  return (__u32)(mixed >> 50) & (TRAP_PLACES - 1);
}

/* Map `services` (array by slot). */
#define TRAP_SERVICE_OFFERS 1u /* send OFFER in the SYN-ACK: there is a backend to name */
#define TRAP_SERVICE_SERVES                                                                        \
  2u /* a client that does not ACCEPT goes up to the listener of this host */
#define TRAP_SERVICE_SOCKETS                                                                       \
  4u /* sockets of the service may live on this host: their segments pass. Implied by SERVES */
#define TRAP_SERVICE_RESTS 8u    /* peace (activate = "attack"): the stack answers */
#define TRAP_SERVICE_POLICED 16u /* has client prefixes in `policies` */
#define TRAP_SERVICE_SILENT 32u  /* no backend is up, and the service is to be silent then */
#define TRAP_SERVICE_CAPPED 64u  /* has a cap on SYN-ACKs of its own */
#define TRAP_SERVICE_TIMESTAMPS                                                                    \
  128u /* the stack has timestamps; without ASSIGNS: and reads what they say (tcp_timestamps = 2)  \
        */
#define TRAP_SERVICE_SACK 256u
#define TRAP_SERVICE_SCALES 512u /* the stack scales windows */
#define TRAP_SERVICE_ASSIGNS                                                                       \
  1024u /* the tc program is there, which makes sockets for TRAP's own cookies (Linux 6.9) */
#define TRAP_SERVICE_STACK_COOKIES                                                                 \
  2048u /* with ASSIGNS: the stack may have sent cookies of its own, at peace */
#define TRAP_SERVICE_LEFT                                                                          \
  4096u /* with RESTS: left to the stack, because nothing listens or the listener takes no cookies \
         */

#define TRAP_SERVICE_ECN 8192u        /* with TIMESTAMPS: the stack accepts ECN (RFC 3168) */
#define TRAP_SERVICE_NEXT_HOPS 16384u /* `next_hops` has entries */

struct trap_service {
  __u32 flags;
  __u32 pool; /* index into `selections`, for clients without a policy */
  /* Of SYN-ACKs of a service that SERVES; they must match what its stack will assume to have sent.
   */
  __be16 mss;
  __be16 window; /* not 0: a client would wait with its request until it may probe */
  __u8 window_scale;
  __u8 hop_limit;       /* of answers; 0: TRAP_REPLY_HOPS */
  __be16 plain_window;  /* the window without timestamps; 0: `window` */
  __u32 peace_token_ns; /* with RESTS: price of a SYN in `peace_caps`; 0: no limit */
  __u8 traffic_class;   /* of answers: DSCP and ECN */
  __u8 reserved[3];
  struct trap_rate syn_acks; /* cap, if CAPPED */
};

/* Map `peace_caps` (array of struct trap_cap by slot): SYNs that a service at peace leaves to the
 * stack. TRAP answers those above at once: an attack need not wait for the daemon. */
#define TRAP_PEACE_BURST_NS 100000000ULL

/* Map `selections` (array by pool): backend index for each selection slot. */
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

/* Map `policies` (array of maps by service slot): an LPM trie for each POLICED service. IPv4
 * prefixes are 96 bits longer. */
struct trap_policy_key {
  __u32 bits;        /* 0 to 128 */
  __be32 address[4]; /* as in union trap_address, which would be aligned to 8 */
};

enum trap_policy_action {
  TRAP_POLICY_POOL,  /* to the backends of a pool */
  TRAP_POLICY_SERVE, /* to the listener of this host, also if the client is aware */
  TRAP_POLICY_DENY,
};

struct trap_policy {
  __u32 action; /* enum trap_policy_action */
  __u32 pool;   /* index into `selections` */
};

/* Map `clients` (array of rows, mmapable): budgets of clients that completed a handshake; written
 * only after a cookie was right. One entry for the client (/32, /64) and one for its network (/24,
 * /48), each somewhere in its row (server/budgets.h). */
#define TRAP_BUDGET_ROWS 32768
#define TRAP_BUDGET_WAYS 4

/* What a budget is of, unpacked; the key of the hash that the map was in 0.4.0. */
struct trap_client_key {
  union trap_address prefix; /* masked */
  __u32 bits;                /* of the prefix: 32 and 24, or 64 and 48 */
  __u32 reserved;            /* zero */
};

struct trap_client_budget {
  struct trap_bucket bucket;
  __u64 handshakes; /* completed, within the budget or not */
};

struct trap_budget_entry {
  __u64 of; /* packed as in server/budgets.h; 0 if it is empty */
  struct trap_client_budget budget;
  __u64 reserved;
};

struct trap_budget_row {
  struct trap_budget_entry entries[TRAP_BUDGET_WAYS];
};

/* Map `caps` (array): limits of all CPUs together. A CPU takes tokens in chunks, into map
 * `allowances` (per-CPU array, same index), so that a packet seldom touches memory that other CPUs
 * write. */
#define TRAP_CAP_SYN_ACKS 0
#define TRAP_CAP_RESETS 1
#define TRAP_CAP_SERVICE 2 /* + slot: SYN-ACKs of a service */
#define TRAP_CAPS (TRAP_CAP_SERVICE + TRAP_SERVER_MAX_SERVICES)

struct trap_cap {
  struct trap_bucket bucket;
  __u64 reserved[7]; /* a cache line each */
};

/* Map `connection_filter` (array, mmapable): a bit for each connection that the stack may have, in
 * two generations. Once the younger generation has all of them, the daemon clears the older one and
 * goes on with it. Programs and daemon set bits atomically. 256 KiB: more would not stay in a
 * core's cache.
 */
#define TRAP_CONNECTION_FILTER_WORDS 16384

struct trap_connection_filter {
  __u64 bits[2]; /* by generation, in one cache line */
};

/* Spreads the connections of a service; a collision costs a lookup. */
TRAP_INLINE __u64 trap_connection_hash(const union trap_address* client, __be16 client_port,
                                       __be16 server_port) {
  __u64 ports = (__u64)client_port << 16 | server_port;

  return (client->raw64[0] ^ client->raw64[1] * 0xff51afd7ed558ccdULL ^ ports) *
         0x9e3779b97f4a7c15ULL;
}

TRAP_INLINE __u32 trap_connection_filter_word(__u64 hash) {
  return (__u32)(hash >> 50);
}

TRAP_INLINE __u64 trap_connection_filter_bit(__u64 hash) {
  return 1ULL << (hash >> 32 & 63);
}

/* Map `recent_handovers` (per-CPU array): the handshakes that the program has just handed to the
 * stack; the place follows from trap_connection_hash(). */
#define TRAP_RECENT_HANDOVERS 1024
#define TRAP_RECENT_HANDOVER_NS 10000000 /* longer than a poll and a tick of the coarse clock */

struct trap_recent_handover {
  union trap_address client;
  __u64 monotonic_ns;
  __be16 client_port;
  __u16 slot;    /* of the service; 0: an entry that was never used */
  __u32 waiting; /* segments behind it were queued: what comes later must not overtake them */
};

/* Map `watched_handovers` (array, mmapable): a sample of the handshakes that went up to the stack,
 * until the daemon has found out whether they became connections. The place follows from
 * trap_connection_hash(). */
#define TRAP_WATCHED_HANDOVERS 64

enum trap_watch {
  TRAP_WATCH_FREE,    /* only the daemon makes it so */
  TRAP_WATCH_WRITTEN, /* a CPU is filling it */
  TRAP_WATCH_WAITS,
  TRAP_WATCH_ARRIVED, /* a later segment met a connection */
  TRAP_WATCH_ENDED,   /* the client ended it before: it proves nothing */
};

/* Its TCP checksum is left to a device, as between hosts of one kernel. */
#define TRAP_WATCHED_PARTIAL 1
#define TRAP_WATCHED_KERNELS 2 /* it completed a cookie of the kernel's */

struct trap_watched_handover {
  union trap_address client;
  __u64 monotonic_ns; /* when it went up */
  __be16 client_port;
  __u16 slot; /* of the service */
  __u32 interface_index;
  __u32 state; /* enum trap_watch */
  __u32 flags; /* TRAP_WATCHED_... */
};

/* Map `senders` (array, mmapable): a sample of clients and the neighbours that their frames come
 * from; those of SYNs in the first half, of completed handshakes in the other. A SYN proves
 * nothing, so that its sample is of a fixed size, and the daemon's to free. */
#define TRAP_SENDERS 16

enum trap_sender_state {
  TRAP_SENDER_FREE,    /* only the daemon makes it so */
  TRAP_SENDER_WRITTEN, /* a CPU is filling it */
  TRAP_SENDER_TOLD,
};

struct trap_sender {
  union trap_address client;
  __u32 interface_index;
  __u32 state; /* enum trap_sender_state */
  __u16 slot;  /* of the service */
  __u8 mac[6];
};

/* Map `next_hops` (array): frames of these neighbours are answered to others, as the routing table
 * has it. Looked at for services with TRAP_SERVICE_NEXT_HOPS only. */
#define TRAP_NEXT_HOPS 4

struct trap_next_hop {
  __u32 interface_index; /* 0: no entry */
  __u8 from[6];
  __u8 to[6];
};

/* Map `own_macs` (array of one, mmapable): the Ethernet addresses of this host. A frame for another
 * one reaches a program at an interface that is promiscuous, and is not answered. The daemon writes
 * the table that is not in use, then flips `active`. A table's multiplier is one that leaves no
 * bucket too full. */
#define TRAP_OWN_MAC_BUCKETS 512
#define TRAP_OWN_MAC_WAYS 4
#define TRAP_OWN_MAC_TAKEN (1ULL << 48) /* beside an address: 0 is an empty place */

struct trap_own_mac_table {
  __u64 multiplier;
  __u64 macs[TRAP_OWN_MAC_BUCKETS][TRAP_OWN_MAC_WAYS];
};

struct trap_own_macs {
  __u64 active; /* 0: they are not known, and every frame may be answered; else 1 + index */
  struct trap_own_mac_table tables[2];
};

/* An address is a number as it is read from the frame by the host. */
TRAP_INLINE __u32 trap_own_mac_bucket(__u64 mac, __u64 multiplier) {
  return (__u32)(mac * multiplier >> 55) & (TRAP_OWN_MAC_BUCKETS - 1);
}

/* Map `handed_over` (per-CPU array by slot): handshakes given to the tc program, a number. */

/* Map `settings` (array of one, mmapable): values that change while the program runs. */
struct trap_server_settings {
  struct trap_clock clock;
  struct trap_key selector_key;
  struct trap_keyring cookie_keys;
  struct trap_rate syn_acks;           /* cap of the whole server */
  struct trap_rate resets;             /* the same for REDIRECTs */
  struct trap_rate client_handshakes;  /* budget of each /32 and /64 */
  struct trap_rate network_handshakes; /* budget of each /24 and /48 */
  __u64
      connection_filter_until_ns; /* by the programs' clock: later, a missing bit proves nothing */
  __u32 connection_filter_generation; /* 0 or 1, in which bits are set */
  __u32 reserved;
};

/* Ring buffer `redirected`: one record for each REDIRECT sent, for the announcement. */
struct trap_redirected {
  union trap_address client;
  __u32 service_slot;
  __u32 backend;
};

TRAP_ASSERT(sizeof(struct trap_place) == 32, "shared through a map");
TRAP_ASSERT(TRAP_PLACES == 1 << 14, "trap_place_of takes 14 bits");
TRAP_ASSERT(sizeof(struct trap_service) == 48, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_selection) == 4 + 2 * TRAP_SELECTION_SLOTS, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_backend) == 32, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_server_guard) == 320, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_policy_key) == 20, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_policy) == 8, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_client_key) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_client_budget) == 16, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_budget_row) == 128, "two cache lines");
TRAP_ASSERT(TRAP_BUDGET_ROWS == 1 << 15, "trap_budget_row_of takes 15 bits");
TRAP_ASSERT(sizeof(struct trap_cap) == 64, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_connection_filter) == 16, "shared through a map");
TRAP_ASSERT(TRAP_CONNECTION_FILTER_WORDS == 1 << 14, "trap_connection_filter_word takes 14 bits");
TRAP_ASSERT(sizeof(struct trap_recent_handover) == 32, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_watched_handover) == 40, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_next_hop) == 16, "shared through a map");
TRAP_ASSERT(TRAP_OWN_MAC_BUCKETS == 1 << 9, "trap_own_mac_bucket takes 9 bits");
TRAP_ASSERT(sizeof(struct trap_own_macs) ==
                8 + 2 * (8 + 8 * TRAP_OWN_MAC_BUCKETS * TRAP_OWN_MAC_WAYS),
            "shared through a map");
TRAP_ASSERT(sizeof(struct trap_sender) == 32, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_server_settings) == 56 + 32 + 320 + 4 * 24 + 16,
            "shared through a map");
TRAP_ASSERT(sizeof(struct trap_redirected) == 24, "shared through a ring buffer");
