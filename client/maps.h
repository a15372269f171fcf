/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys and values of every map that trap-client's BPF programs and its daemon share. */
#pragma once

#include "dataplane/captured.h"
#include "protocol/address.h"
#include "protocol/wire.h"

#define TRAP_CLIENT_MAX_PENDING 16384
#define TRAP_CLIENT_MAX_OWNERS 4096
#define TRAP_CLIENT_MAX_ORIGINS 16384
#define TRAP_CLIENT_MAX_FALLBACKS 4096
#define TRAP_CLIENT_MAX_TRUSTED 4096 /* prefixes of services, and as many of targets */
#define TRAP_CLIENT_MAX_LINKS 4096   /* prefixes of the host's own links */

/* Sizes of these tables: default, and bounds of `max_redirects` and `max_flows` in the
 * configuration.
 */
#define TRAP_CLIENT_REDIRECTS 16384
#define TRAP_CLIENT_FLOWS 65536
#define TRAP_CLIENT_TABLE_LEAST 1024
#define TRAP_CLIENT_TABLE_MOST (1 << 20)

/* The clients whose connections cross an interface. */
enum trap_side {
  TRAP_SIDE_HOST, /* this host's: SYNs leave by egress */
  TRAP_SIDE_LAN,  /* those of hosts behind this one: SYNs come in by ingress */
};

/* A connection as its client's host sees it. A forwarded one crosses interfaces of both sides, and
 * belongs to one. */
struct trap_tuple {
  union trap_address local;
  union trap_address remote;
  __be16 local_port;
  __be16 remote_port;
  __u32 side; /* enum trap_side */
};

/* tests/model/handshake.pml goes through these states by the same names. */
enum trap_pending_state {
  TRAP_SYN_SENT = 0,
  TRAP_ACCEPT_SENT = 1, /* OFFER swallowed: the application does not know of the handshake */
  TRAP_SYN_ACK_PASSED =
      2,               /* no OFFER: the application's socket is established with the TRAP server */
  TRAP_REDIRECTED = 3, /* its SYNs go to the service: one redirect per connect */
  TRAP_ANSWERED = 4,   /* and the service has answered */
};

#define TRAP_CONNECT_RESETS                                                                        \
  1u /* the TRAP server's SYN-ACK had window 0: it resets clients that follow no redirect */
#define TRAP_CONNECT_ASKED_AGAIN                                                                   \
  2u /* the service was found dead, and the TRAP server asked once more */
#define TRAP_CONNECT_HAS_NO_WAY                                                                    \
  4u /* every local port on the way to the service is a living connection's, the host's routing    \
        leads elsewhere, or a router refused this SYN for what is its own: a TRAP server that      \
        serves is to serve this one */
#define TRAP_CONNECT_UNCONSENTED                                                                   \
  8u /* a target did not consent: no redirect of this connect is followed any more */
#define TRAP_CONNECT_GAVE_UP 16u  /* a target that it asked for did not answer its SYNs */
#define TRAP_CONNECT_ACCEPTED 32u /* an ACCEPT was sent since its last SYN */
#define TRAP_CONNECT_AE 64u       /* that SYN has the flag of accurate ECN */

/* Map `pending` (LRU hash by trap_tuple): the last SYN of each connect, until it is evicted. */
struct trap_pending {
  __be32 isn;             /* ours */
  __be32 iss;             /* the server's, of the last SYN-ACK seen */
  __be32 accepted_iss[2]; /* the last two of which ACCEPTs were sent: a fleet, or a new cookie
                             window, answers one ISN by several */
  __be16 window;
  __u8 state; /* enum trap_pending_state */
  __u8 option_bytes;
  __u8 options[TRAP_TCP_OPTIONS_MAX];
  __u8 flags;         /* TCP flags of the SYN (ECN) */
  __u8 traffic_class; /* TOS or IPv6 traffic class */
  __u8 hop_limit;     /* TTL or hop limit */
  __u8 is_renewal;    /* the daemon's own SYN: its redirect is kept, and no connection follows */
  __u8 accepts;       /* ACCEPTs sent for isn; one for each of its SYNs at most: a network that
                         doubles has more of them answered than were needed */
  __u8 connect;       /* TRAP_CONNECT_* */
  __u8 ethernet[12];  /* the SYN's addresses, to and from; answers go the same way */
  __u8 tickets;       /* that its SYNs to the service carried: 0, 1, 2 or more; the last two */
  __u8 plain_bytes;   /* of `options`, that stay where a ticket needs the room of the others */
  __u32 consents[2];  /* are answered by these, the later one first (protocol/consent.h) */
  __u32 ifindex;      /* of the interface it left by, if that has such addresses; else 0 */
  __u32 mark;         /* the socket's, */
  __u32 user;         /* its owner, */
  __u32 bound;        /* and the index of the interface that it is bound to; 0: to none */
  __u64 began_ns;     /* when the first SYN with isn left; CLOCK_MONOTONIC_COARSE */
};

/* Map `owners` (LRU hash): SYNs of a user of this host at one of its addresses, or of a host behind
 * it (in IPv6, of its /64). Of one second, so many are remembered in `pending`; those beyond that
 * are in `pending_crowd`, where one owner pushes out its own and those of other busy ones. */
#define TRAP_OWNER_SYNS 1024u
#define TRAP_OWNER_SECOND_SHIFT 30 /* of nanoseconds */

struct trap_owner {
  union trap_address address;
  __u32 user; /* 0 for hosts behind */
  __u32 side; /* enum trap_side */
};

struct trap_owner_share {
  __u64 second;
  __u32 syns;
  __u32 reserved;
};

/* Map `redirects` (LRU hash): where a service really is, for one local address. */
struct trap_redirect_key {
  union trap_address local;
  union trap_address service;
  __be16 port;
  __u16 reserved[3]; /* zero */
};

#define TRAP_REDIRECT_EXPERIMENTAL 1u /* option kind 253 */
#define TRAP_REDIRECT_FROM_RESET 2u   /* learnt from a RST that reached the application */
#define TRAP_REDIRECT_TO_CONSENT 4u   /* without CONSENT the target's answer is refused */

struct trap_redirect {
  union trap_address backend;
  __u64 learnt_ns; /* CLOCK_MONOTONIC_COARSE */
  __u64 until_ns;
  __u64 used_ns; /* when a connection last went straight by it; 0: none did */
  __be16 port;
  __u16 flags;
  struct trap_ticket ticket;
  __u64 unanswered_ns; /* when the first of the SYNs was sent that had no answer since, */
  __u32 unanswered;    /* and how many there are, of all connects */
  __u32 reserved;
};

/* docs/protocol.md 11: SYNs of one connect that carry the ticket, and those that go to the service
 * at all; unanswered ACCEPTs after which the connection is left to a TRAP server that serves. */
#define TRAP_SYNS_TICKETED 2
#define TRAP_SYNS_TO_SERVICE 3
#define TRAP_ACCEPTS_IN_VAIN 2

/* Where the TRAP server resets (docs/adr/0048-left-to-the-reset.md): ACCEPTs in a row without a
 * redirect, of all connects, after which connects are left to the reset, and how long ago the first
 * has to be; how long a connect tries a backend that is silent. */
#define TRAP_RESETS_IN_VAIN 8
#define TRAP_VAIN_NS 7000000000ULL
#define TRAP_PATIENCE_NS 60000000000ULL

/* A SYN whose hop limit is below this may be meant to end at a router (traceroute ends at 30), or
 * on the link: it says nothing of a backend. Systems begin at 64, and no path has so many hops. */
#define TRAP_LEAST_HOP_LIMIT 32

/* So many SYNs, whatever connects they were of, and so long after the first: the backend is silent.
 * Applications may give connects up sooner than a fourth SYN of one would ask the TRAP server. */
#define TRAP_SYNS_IN_VAIN 2
#define TRAP_SILENCE_NS 2500000000ULL

#define TRAP_FLOW_VIA_NEIGHBOUR 1u /* the next hop is not that of the public address */
#define TRAP_FLOW_UNTICKETED 2u    /* its last SYN went to the service without the ticket */
#define TRAP_FLOW_FORWARDED 4u     /* of a host behind this one, at the interface to the Internet */
#define TRAP_FLOW_ANSWERED 8u      /* the service's SYN-ACK reached the application */

/* A host may use one local port towards two services that have one backend: on the wire, their
 * connections would be one. So each local port has sixteen *lanes*, local ports that stand for it
 * on the wire. Lane 0 is the port itself; each lane leads back by itself. The upper half of a
 * flow's flags is its lane (docs/adr/0033-lanes.md). */
#define TRAP_LANES 16u
#define TRAP_FLOW_LANE 0xf0u

TRAP_INLINE __u32 trap_lane(__u32 flow_flags) {
  return (flow_flags & TRAP_FLOW_LANE) >> 4;
}

TRAP_INLINE __be16 trap_lane_port(__be16 port, __u32 lane) {
  return (__be16)(port ^ TRAP_BE16(lane << 12));
}

/* Map `to_backend` (LRU hash by the trap_tuple the application knows): translated connections,
 * outward. */
struct trap_outward {
  union trap_address backend;
  __be16 port;
  __u8 syns;  /* SYNs sent for isn */
  __u8 flags; /* TRAP_FLOW_*, lane */
  __be32 isn;
};

/* Map `to_public` (LRU hash by the trap_tuple on the wire): the connection that has this place on
 * the wire. It is translated inward. */
struct trap_inward {
  union trap_address service;
  __be16 port;
  __u16 flags; /* TRAP_FLOW_FORWARDED, lane */
  __u16 reserved[2];
};

/* Map `translations` (socket storage): a redirected connection of a socket of this host, for as
 * long as the socket lives. */
struct trap_translation {
  union trap_address service;
  union trap_address backend;
  __be16 service_port;
  __be16 backend_port;
  __u8 flags; /* TRAP_FLOW_VIA_NEIGHBOUR, lane */
  __u8 reserved[3];
};

/* Map `origins` (LRU hash): the last services that were redirected to a backend. If `to_public` has
 * lost a packet's entry, one of this host's sockets to these services is the packet's. */
struct trap_origin_key {
  union trap_address backend;
  __be16 port;
  __u16 reserved[3]; /* zero */
};

#define TRAP_ORIGINS 4

struct trap_origins {
  struct trap_inward services[TRAP_ORIGINS]; /* port 0: none */
  __u32 next;                                /* to be written */
  __u32 lanes; /* a bit for each lane but 0 that a connection to the backend ever had */
};

/* Map `remotes` (array of one): a bit, by its hash, for each address and port that a connection was
 * redirected from or to, so that most packets of a host need no lookup. Bits are never cleared: one
 * too many costs a lookup. */
#define TRAP_REMOTE_BITS 65536

struct trap_remotes {
  __u64 words[TRAP_REMOTE_BITS / 64];
};

TRAP_INLINE __u32 trap_remote_bit(const union trap_address* address, __be16 port) {
  __u64 hash = (address->raw64[0] ^ port) * 0xff51afd7ed558ccdULL ^
               address->raw64[1] * 0xc4ceb9fe1a85ec53ULL;

  return (__u32)((hash ^ hash >> 32) * 0x9e3779b97f4a7c15ULL >> 48);
}

/* Map `fallbacks` (LRU hash by trap_redirect_key): recent failures on the way to a service, so that
 * later connections do not wait for them again. */
#define TRAP_FALLBACK_UNTICKETED 1u /* SYNs get through without their ticket */
#define TRAP_FALLBACK_SERVED                                                                       \
  2u /* no redirect comes, or it leads nowhere: the TRAP server serves                             \
      */
#define TRAP_FALLBACK_UNREACHABLE 4u /* the backend does not answer */
#define TRAP_FALLBACK_UNCONSENTED 8u /* the backend answers without CONSENT */
#define TRAP_FALLBACK_RESET 16u      /* no redirect comes, and the TRAP server resets */
#define TRAP_FALLBACK_OF_BACKEND (TRAP_FALLBACK_UNREACHABLE | TRAP_FALLBACK_UNCONSENTED)
#define TRAP_FALLBACK_LIFETIME_S 600u /* as a ticket's usual lifetime */

struct trap_fallback {
  union trap_address backend; /* that is UNREACHABLE or UNCONSENTED */
  __u64 until_ns;             /* CLOCK_MONOTONIC_COARSE */
  __be16 port;
  __u8 flags; /* TRAP_FALLBACK_* */
  __u8 vain;  /* ACCEPTs in a row that brought no redirect, where the TRAP server resets */
  __u8 reserved[4];
  __u64 vain_since_ns; /* when the first of them was known to; CLOCK_MONOTONIC_COARSE */
};

/* Maps `trust_services` and `trust_targets` (LPM tries): the [[trust]] that names a service, and
 * the targets that a trust allows. `of` is the service's port in host byte order, 0 for all ports;
 * in `trust_targets` the number of the trust. Map `links` (LPM trie): the index of the interface
 * on whose link an address is, or TRAP_LINK_UNKNOWN; `of` is 0. IPv4 prefixes are 96 bits longer.
 */
#define TRAP_LINK_UNKNOWN 0xffffffffu /* of every address, while the host's links are not known */

struct trap_trust_key {
  __u32 bits; /* 32 for `of`, and those of the prefix */
  __u32 of;
  union trap_address prefix;
};

/* Maps `rules` (array) and `routes` (LPM trie): how this host routes, so that a redirect is
 * followed only where the kernel would lead the socket itself. bpf_fib_lookup knows neither users
 * nor, before Linux 6.10, marks, and nothing at all on a host that does not forward. Each map has
 * two sets; the daemon writes the one that is not in use, then its number into the settings. The
 * rules of a family lie in their order, the rest is zero. `of` of a route's key is
 * trap_routing_table(). */
#define TRAP_CLIENT_MAX_RULES 64 /* of a family */
#define TRAP_CLIENT_MAX_ROUTES 4096

enum trap_rule_action {
  TRAP_RULE_NONE = 0, /* behind the last rule */
  TRAP_RULE_LOOKS_UP = 1,
  TRAP_RULE_GOES_ON = 2, /* at the first rule of `next_priority` or more */
  TRAP_RULE_REFUSES = 3,
  TRAP_RULE_UNKNOWN = 4, /* it asks for what the programs do not know */
  TRAP_RULE_MISSES = 5,  /* no action, but what came of a rule: it is not for the packet */
};

#define TRAP_RULE_INVERTED 1u
#define TRAP_RULE_BY_DSCP 2u

#define TRAP_RULE_NO_INTERFACE 0xffffffffu /* one that is not there: no packet has it */

struct trap_rule {
  union trap_address from, to;
  __u8 from_bits, to_bits; /* of 128; 0: all */
  __u8 action;             /* enum trap_rule_action */
  __u8 flags;              /* TRAP_RULE_* */
  __u8 dscp;               /* the upper six bits of TOS or traffic class, in their place */
  __u8 shortest_bits;      /* of a route; shorter ones do not count */
  __u8 reserved[2];
  __u32 priority, next_priority;
  __u32 table; /* its number in `routes` */
  __u32 mark, mask;
  __u32 in, out; /* interfaces; 0: any */
  __u32 user_first, user_last;
  __u16 local_port_first, local_port_last; /* host byte order */
  __u16 port_first, port_last;
};

TRAP_INLINE __u32 trap_rule_place(__u32 set, int is_ipv6, __u32 number) {
  return ((set - 1) * 2 + !!is_ipv6) * TRAP_CLIENT_MAX_RULES + number;
}

TRAP_INLINE __u32 trap_routing_table(__u32 set, __u32 table) {
  return set << 16 | table;
}

/* Where a route leads: to the interface of this index, or */
#define TRAP_WAY_UNKNOWN 0u          /* by several interfaces, or by the packet's DSCP */
#define TRAP_WAY_REFUSED 0xffffffffu /* nowhere */
#define TRAP_WAY_LOCAL 0xfffffffeu   /* to this host */
#define TRAP_WAY_NEXT_RULE 0xfffffffdu

enum trap_route_hop {
  TRAP_ROUTE_HOP_UNKNOWN = 0,
  TRAP_ROUTE_HOP_DESTINATION = 1, /* it is on the link */
  TRAP_ROUTE_HOP_GATEWAY = 2,
};

struct trap_route {
  __u32 way;
  __u32 bits; /* of its prefix, of 128 */
  union trap_address gateway;
  __u32 next_hop; /* enum trap_route_hop */
  __u32 reserved;
};

/* Map `settings` (array of one, mmapable). */
#define TRAP_CLIENT_ALLOW_PRIVATE 1u
#define TRAP_CLIENT_ONLY_TRUSTED 2u /* services that no [[trust]] names may not redirect */

#define TRAP_CLIENT_WITHOUT_CONSENT 4u /* targets need not consent */
#define TRAP_CLIENT_NAT64_KNOWN                                                                    \
  8u /* which prefix this host's translator has, or that it has none */

struct trap_client_settings {
  __u32 flags;
  __u32 nat64_bits; /* 0, 32, 40, 48, 56, 64 or 96 (RFC 6052 2.2); 0: no translator */
  union trap_address nat64;
  __u32 routing; /* the set of rules and routes in use: 1, 2; 0: they are not known */
  __u32 reserved;
};

/* Priority (SO_PRIORITY) of the daemon's own SYNs, which the programs leave as they are. Its lowest
 * bits are those of best effort. */
#define TRAP_CLIENT_OWN_PRIORITY 0x54520000u

TRAP_ASSERT(sizeof(struct trap_tuple) == 40, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_pending) == 112, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_owner) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_owner_share) == 16, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_redirect_key) == 40, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_redirect) == 72, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_outward) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_inward) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_translation) == 40, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_origin_key) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_origins) == 104, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_remotes) == 8192, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_fallback) == 40, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_trust_key) == 24, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_rule) == 88, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_route) == 32, "shared through a map");
TRAP_ASSERT(sizeof(struct trap_client_settings) == 32, "shared through a map");
