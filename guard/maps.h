/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys and values of every map that trap-guard's BPF program and its daemon share. */
#pragma once

#include "dataplane/captured.h"
#include "dataplane/token_bucket.h"
#include "protocol/address.h"
#include "protocol/clock.h"
#include "protocol/keyring.h"

#define TRAP_GUARD_MAX_SERVICES 256 /* slots, slot 0 included */
#define TRAP_GUARD_MAX_TRAP_SERVERS 256
#define TRAP_GUARD_MAX_TRUSTED 256
#define TRAP_GUARD_MAX_POOL_PREFIXES 256 /* of all pools */
/* Sizes of the tables: default, and bounds of `max_clients` and `max_flows` in the configuration.
 */
#define TRAP_GUARD_CLIENTS 65536 /* announced, and with budgets */
#define TRAP_GUARD_FLOWS 262144
#define TRAP_GUARD_TABLE_LEAST 1024
#define TRAP_GUARD_MOST_CLIENTS (1 << 24)
#define TRAP_GUARD_MOST_FLOWS (1 << 24)
#define TRAP_GUARD_TAGS 256

/* Map `ports` (array of 65536 by port in host byte order): all zeros for a port that is not
 * protected. */
struct trap_guard_port {
  __u8 slot; /* of the service, from 1 */
  __u8 scope_v4;
  __u8 scope_v6;
  __u8 flags;                  /* TRAP_PORT_... */
} __attribute__((aligned(4))); /* copied as a word for every packet */

#define TRAP_PORT_SOCKETS                                                                          \
  1u /* the service's sockets are on this host: their segments pass. Otherwise flows alone decide  \
      */

/* Map `trap_servers` (hash): key union trap_address. */
struct trap_guard_peer {
  __u64 announcements; /* accepted */
  __u32 heard_s;       /* Unix time of the last of them; 0: none yet */
  __s32 skew_s; /* how far ahead of this host its clock was then, its packet's way included */
  __u32 other_scope_s; /* Unix time of its last right announcement with a scope that is not the
                          service's; 0: none, or one with the right scope came for the port since */
  __be16 other_scope_port;
  __u8 other_scope;
  __u8 reserved;
};

/* Map `trusted` (LPM trie): prefixes whose SYNs need neither ticket nor announcement. IPv4 prefixes
 * are 96 bits longer. */
struct trap_trusted_key {
  __u32 bits;        /* 0 to 128 */
  __be32 address[4]; /* as in union trap_address, which would be aligned to 8 */
};

/* Map `pools` (LPM trie): the pool (__u32) of this host's addresses; key struct trap_trusted_key.
 * Map `tag_pools` (array by tag): the pool whose addresses take this tag. A pool has the same
 * number for as long as it has its name: announced clients are kept by it. */
#define TRAP_NO_POOL 0
#define TRAP_POOL_CHANGES                                                                          \
  (~0U) /* of a tag, for as long as the daemon writes: no address takes it */

/* Map `classes` (array by the tag of a ticket or announcement): limits of an admitted client. */
struct trap_guard_class {
  struct trap_rate syns;
  struct trap_rate packets; /* `chunk` packets at a time are put at a flow's disposal */
  struct trap_rate kib;     /* the same in units of 1024 bytes */
  __u32 flows;              /* open at once; 0: no limit */
  __u32 reserved;
};

/* Map `network_classes` (array by the same tag): limits of all clients of a /24 or /48 together. */
struct trap_network_class {
  struct trap_rate syns; /* with a ticket, and as many again by announcement */
  struct trap_rate packets;
  __u32 flows; /* open at once; 0: no limit */
  __u32 reserved;
};

/* Map `settings` (array of one, mmapable): values that change while the program runs. Instants are
 * of CLOCK_MONOTONIC_COARSE. */
#define TRAP_GUARD_TRUSTS 1u     /* some prefix is trusted: look into the trie */
#define TRAP_GUARD_DROPS_ICMP 2u /* queries to this host, such as echo requests */
#define TRAP_GUARD_STALE_DROPS                                                                     \
  4u /* once the keys have run out, nothing passes to a protected port */

#define TRAP_GUARD_ELSEWHERE 8u /* the sockets of some service are: what leaves has to be read */
#define TRAP_GUARD_POOLS 16u    /* there are pools: addresses and tags have to fit */

#define TRAP_GUARD_ALWAYS (~0ULL) /* for enforced_until_ns */

struct trap_guard_settings {
  __u32 flags; /* TRAP_GUARD_... */
  __u32 clock_skew_s;
  __u64 enforced_until_ns;    /* before it, refused packets are dropped; from it on they pass, and
                                 are counted in `monitored` */
  __u64 keys_until_ns;        /* until then the key rings hold a key of the present epoch */
  __u64 flow_counts_until_ns; /* until then the program relies on the counts of clients' flows */
  __u64 table_keys[2];        /* random: places in `announced` */
  struct trap_clock clock;
  struct trap_keyring ticket_keys;
  struct trap_keyring announce_keys;
  struct trap_rate announced; /* new clients of each /24 and /48 */
};

/* Map `announced` (array of buckets): clients that a TRAP server announced. guard/tables.h finds an
 * entry. */
struct trap_announced_key {
  union trap_address client; /* masked to the scope */
  __be16 port;
  __u8 scope;    /* as announced; looked up with the service's */
  __u8 reserved; /* zero */
  __u32 pool;    /* of the address that the announcement came to; chooses no bucket */
};

struct trap_announced {
  __u32 until_s; /* Unix time; 0: an empty entry */
  __u8 tag;
  __u8 reserved[3];
};

#define TRAP_ANNOUNCED_WAYS 8
#define TRAP_ANNOUNCED_BUCKETS (TRAP_GUARD_CLIENTS / TRAP_ANNOUNCED_WAYS)

struct trap_announced_entry {
  struct trap_announced_key key;
  struct trap_announced value;
};

struct trap_announced_bucket {
  union {
    __u8 prints[TRAP_ANNOUNCED_WAYS]; /* of the entries' keys, never 0 for one that is taken */
    __u64 print_word;                 /* one word excludes most keys */
  };
  struct trap_announced_entry entries[TRAP_ANNOUNCED_WAYS];
};

/* Map `flows` (array of buckets, mmapable): connections admitted. */
struct trap_flow_key {
  union trap_address client;
  union trap_address service;
  __be16 client_port;
  __be16 service_port;
  union {           /* no part of the key */
    __u32 consent;  /* in an entry of `half_open`: the value of CONSENT (protocol/consent.h) */
    __u32 expected; /* in one of `flows`, if the service's sockets are elsewhere: the number that
                       the service acknowledged last, host byte order; 0: none was seen */
  };
};

/* Map `flow_keys` (array of one): the secret that places flows (guard/tables.h). All zeros until a
 * daemon has made it. */
#define TRAP_FLOW_KEYS 10 /* one for each 32-bit word of a flow's key, and one for all */

struct trap_flow_keys {
  __u64 words[TRAP_FLOW_KEYS];
};

#define TRAP_FLOW_BUDGETED 1u    /* pays for its packets from its client's budgets */
#define TRAP_FLOW_CLOSING 2u     /* saw a FIN or a RST: what its client sends does not prolong it */
#define TRAP_FLOW_ENDED 4u       /* no longer among its client's open ones */
#define TRAP_FLOW_HALF_OPEN 8u   /* in `half_open`: no segment has acknowledged our SYN-ACK yet */
#define TRAP_FLOW_EARLY_DATA 16u /* its SYN had data, so that ours may come before its ACK */
#define TRAP_FLOW_CLIENT_CLOSED 32u /* by a FIN, where the service's sockets are elsewhere */
#define TRAP_FLOW_SERVER_CLOSED 64u
#define TRAP_FLOW_UNSEEN                                                                           \
  128u /* opened, or reset by its client, and its SYN-ACK was not seen; the                        \
          daemon counts and clears it */

struct trap_guard_flow {
  __u64 seen_ns;    /* to the second; TRAP_FLOW_EMPTY, TRAP_FLOW_CLAIMED: no flow */
  __u32 bytes_left; /* of what was taken from the client's budgets; a packet exchanges this word */
  union {
    __u32 packets_left; /* and the next at once */
    __u32 client_isn;   /* of a half-open flow: what our last SYN-ACK acknowledged, less one */
  };
  __u8 tag;          /* exchanged with the flags at once */
  __u8 flags;        /* TRAP_FLOW_... */
  __u8 consent_kind; /* of the option that brought the ticket, which CONSENT has too; 0: none */
  __u8 reserved;
  union {
    __u32 isn;         /* of a half-open flow: of our last SYN-ACK, host byte order; 0: none seen */
    __u32 client_next; /* of an open one, if the service's sockets are elsewhere: behind what the
                          client sent without a gap; 0: nothing was seen */
  };
};

#define TRAP_FLOW_EMPTY 0
#define TRAP_FLOW_CLAIMED 1 /* by the CPU that writes it */

/* A flow that was silent for this long must show a ticket, an announcement or a socket again. */
#define TRAP_FLOW_IDLE_NS (3600ULL * 1000000000ULL)

/* The same of a flow that is closing. */
#define TRAP_FLOW_CLOSING_NS (60ULL * 1000000000ULL)

/* The age at which one that is half-open is over: stacks repeat a SYN-ACK for 63 s. */
#define TRAP_FLOW_HALF_OPEN_NS (75ULL * 1000000000ULL)

#define TRAP_FLOW_WAYS 4
#define TRAP_FLOW_BUCKETS (TRAP_GUARD_FLOWS / TRAP_FLOW_WAYS)

struct trap_flow_entry {
  struct trap_flow_key key;
  struct trap_guard_flow value;
};

struct trap_flow_bucket {
  struct trap_flow_entry entries[TRAP_FLOW_WAYS];
};

/* Map `half_open` (array of buckets, mmapable): SYNs that passed and were not acknowledged yet.
 * They lie apart from `flows`, so that no number of them costs an open flow its place, and each in
 * a few buckets of its client's (of the service's scope), which are a few of its network's (the
 * /24 or /48): one client's SYNs push out each other. guard/tables.h finds an entry. */
#define TRAP_HALF_OPEN_BUCKETS 16384
#define TRAP_HALF_OPEN_BUCKETS_OF_CLIENT 32
#define TRAP_HALF_OPEN_BUCKETS_OF_NETWORK 128

/* Map `half_open_marks` (array of one, mmapable): when a half-open flow was made, or answered, last
 * whose hash has these bits, in units of 2^30 ns modulo 2^16. Most segments of a flood have a mark
 * that is older than any half-open flow, and need not be looked for. guard/tables.h reads marks. */
#define TRAP_HALF_OPEN_MARK_BITS 17

struct trap_half_open_marks {
  __u16 seen[1 << TRAP_HALF_OPEN_MARK_BITS];
};

/* Map `client_budgets` (array of buckets, mmapable): admitted clients and what is left of their
 * budgets. A client is known by its print, of 62 bits, under a secret of this host. guard/tables.h
 * finds an entry. */
struct trap_guard_client_key {
  union trap_address prefix; /* masked to the service's scope */
  __u32 slot;                /* of the service */
  __u32 reserved;            /* zero */
};

struct trap_guard_client {
  struct trap_bucket syns;
  struct trap_bucket announced_syns; /* what pays for SYNs by announcement, whose source is not
                                        proved: apart from SYNs with a ticket */
  struct trap_bucket packets;
  struct trap_bucket kib;
  __u32 flows; /* open; the program counts, the daemon corrects */
  __u8 tag;    /* of the last ticket or announcement */
  __u8 reserved[3];
};

#define TRAP_CLIENT_WAYS 8
#define TRAP_CLIENT_BUCKETS (TRAP_GUARD_CLIENTS / TRAP_CLIENT_WAYS)

struct trap_client_bucket {
  __u64 prints[TRAP_CLIENT_WAYS]; /* one cache line; a print, or one of the values below */
  struct trap_guard_client clients[TRAP_CLIENT_WAYS];
};

#define TRAP_CLIENT_EMPTY 0               /* and never again once a client has had the place */
#define TRAP_CLIENT_NOBODY 1              /* the place of a client that went, for the next */
#define TRAP_CLIENT_IS_THERE (1ULL << 63) /* in a print. Without it a CPU is about to write it. */
#define TRAP_CLIENT_IS_PRINT (1ULL << 62)

/* Map `client_keys` (array of one): the secret that makes prints: for each half of a print one word
 * for each 32-bit word of a client's key, and one for all. All zeros until a daemon has made it. */
#define TRAP_CLIENT_KEYS 12

struct trap_client_keys {
  __u64 words[TRAP_CLIENT_KEYS];
};

/* Map `network_budgets` (array, mmapable): networks of admitted clients and what is left
 * of their budgets. guard/tables.h finds an entry. */
struct trap_network {
  __u64 key; /* trap_network_key(); 0: an empty entry */
  struct trap_bucket syns;
  struct trap_bucket announced_syns;
  struct trap_bucket packets;
  __u32 flows; /* open; the program counts, the daemon corrects */
  __u32 reserved[7];
};

#define TRAP_NETWORK_CLAIMED 1 /* by the CPU that writes the entry */
#define TRAP_NETWORK_WAYS 4    /* places in a row where a network can be */
#define TRAP_NETWORKS 16384

/* Map `networks` (LRU hash): what a network may still announce; key union trap_address, masked to
 * 24 or 48 bits; value struct trap_bucket. An entry matters for the few seconds until its bucket is
 * full again, so it has no more than these, however many clients there are. */
#define TRAP_GUARD_NETWORKS 65536

/* Ring buffer `suspects`: now and then the source of a packet that passed only because nothing is
 * enforced. */
struct trap_suspect {
  union trap_address source;
  __u32 slot;
  __u32 verdict; /* enum trap_verdict */
};

TRAP_ASSERT(sizeof(struct trap_guard_port) == 4, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_guard_peer) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_trusted_key) == 20, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_guard_class) == 80, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_guard_settings) == 48 + 56 + 2 * 320 + 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_announced_entry) == 32, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_announced_bucket) == 264, "a word of prints and the entries");
TRAP_ASSERT(sizeof(struct trap_flow_entry) == 64, "one cache line");
TRAP_ASSERT(__builtin_offsetof(struct trap_guard_flow, bytes_left) % 8 == 0,
            "one word with packets_left");
TRAP_ASSERT(__builtin_offsetof(struct trap_guard_flow, tag) % 4 == 0, "one word with flags");
TRAP_ASSERT(sizeof(struct trap_guard_client_key) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_guard_client) == 40, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_client_bucket) == 384, "six cache lines");
TRAP_ASSERT(sizeof(struct trap_network_class) == 56, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_network) == 64, "one cache line");
TRAP_ASSERT(sizeof(struct trap_suspect) == 24, "shared through a ring buffer");
