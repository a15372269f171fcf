/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every way a packet's walk can end, for BPF, user space, metrics and documents: the one table.
 * X(identifier, action, parts, about, name, explanation): `parts` can give it, `about` says whether
 * a service is always concerned; operators see the name everywhere. Append only: ids are map keys.
 */
#pragma once

#include <linux/types.h>

#include "dataplane/verifier.h"
#include "protocol/assert.h"

enum trap_action {
  TRAP_ACTION_PASS, /* go on to the stack, or to the wire */
  TRAP_ACTION_DROP,
  TRAP_ACTION_REPLY,   /* rewritten in place and sent back where it came from */
  TRAP_ACTION_CONSUME, /* understood and used up; dropped, but not refused */
};

/* Programs that can give a verdict: a set of bits. */
enum trap_parts {
  TRAP_PARTS_SERVER = 1,
  TRAP_PARTS_GUARD = 2,
  TRAP_PARTS_CLIENT = 4,
  TRAP_PARTS_SERVER_GUARD = TRAP_PARTS_SERVER | TRAP_PARTS_GUARD,
  TRAP_PARTS_ANY = TRAP_PARTS_SERVER_GUARD | TRAP_PARTS_CLIENT,
};

enum trap_about {
  TRAP_ABOUT_SERVICE,  /* counted for a service only */
  TRAP_ABOUT_ANYTHING, /* also in slot 0: the packet shows no port, or the part has no services */
};

#define TRAP_VERDICTS(X)                                                                           \
  /* any program */                                                                                \
  X(PASS_OTHER, PASS, ANY, ANYTHING, "pass-other", "not addressed to anything TRAP looks after")   \
  X(DROP_TRUNCATED, DROP, SERVER_GUARD, ANYTHING, "drop-truncated",                                \
    "frame ends before the header it announces")                                                   \
  X(DROP_BAD_IP_HEADER, DROP, SERVER_GUARD, ANYTHING, "drop-bad-ip-header",                        \
    "IP version, header length or total length is impossible")                                     \
  X(DROP_BAD_IP_CHECKSUM, DROP, SERVER, SERVICE, "drop-bad-ip-checksum",                           \
    "IPv4 header checksum is wrong")                                                               \
  X(DROP_FRAGMENT, DROP, SERVER_GUARD, ANYTHING, "drop-fragment",                                  \
    "fragment addressed to a protected service")                                                   \
  X(DROP_EXTENSION_HEADERS, DROP, SERVER_GUARD, ANYTHING, "drop-extension-headers",                \
    "more IPv6 extension headers in a row than are followed")                                      \
  X(DROP_BAD_DATA_OFFSET, DROP, SERVER_GUARD, SERVICE, "drop-bad-data-offset",                     \
    "TCP data offset is below 5 or beyond the segment")                                            \
  X(DROP_BAD_FLAGS, DROP, SERVER_GUARD, SERVICE, "drop-bad-flags",                                 \
    "TCP flags that no stack sends together")                                                      \
  X(DROP_NULL, DROP, SERVER_GUARD, SERVICE, "drop-null",                                           \
    "TCP segment without SYN, ACK, RST or FIN")                                                    \
  X(DROP_MALFORMED_OPTION, DROP, SERVER_GUARD, SERVICE, "drop-malformed-option",                   \
    "TCP options do not parse, or a TRAP option is not of its type's form")                        \
  X(DROP_DUPLICATE_OPTION, DROP, SERVER_GUARD, SERVICE, "drop-duplicate-option",                   \
    "more than one TRAP option in a segment")                                                      \
  X(DROP_NO_KEY, DROP, SERVER_GUARD, SERVICE, "drop-no-key",                                       \
    "no key for the present epoch: has the daemon been down for hours?")                           \
  X(DROP_INTERNAL, DROP, ANY, ANYTHING, "drop-internal",                                           \
    "a kernel helper failed on a packet of ours")                                                  \
  /* trap-server */                                                                                \
  X(REPLY_SYN_ACK, REPLY, SERVER, SERVICE, "reply-syn-ack",                                        \
    "SYN answered with a SYN cookie and OFFER")                                                    \
  X(REPLY_REDIRECT, REPLY, SERVER, SERVICE, "reply-redirect",                                      \
    "completing ACK answered with a RST that carries the REDIRECT")                                \
  X(DROP_BAD_COOKIE, DROP, SERVER, SERVICE, "drop-bad-cookie",                                     \
    "ACK that completes no handshake of ours")                                                     \
  X(DROP_RST, DROP, SERVER, SERVICE, "drop-rst", "RST to a service at the TRAP server")            \
  X(DROP_FIN, DROP, SERVER, SERVICE, "drop-fin", "FIN to a service at the TRAP server")            \
  X(DROP_SYN_ACK, DROP, SERVER, SERVICE, "drop-syn-ack",                                           \
    "SYN-ACK to a service at the TRAP server")                                                     \
  X(DROP_NO_BACKEND, DROP, SERVER, SERVICE, "drop-no-backend",                                     \
    "completing ACK, but the service has no backend to name")                                      \
  /* trap-guard */                                                                                 \
  X(PASS_TICKET, PASS, GUARD, SERVICE, "pass-ticket", "SYN with a valid ticket")                   \
  X(PASS_ANNOUNCED, PASS, GUARD, SERVICE, "pass-announced",                                        \
    "SYN from a client that a TRAP server announced")                                              \
  X(PASS_FLOW, PASS, GUARD, SERVICE, "pass-flow", "segment of a flow that was admitted")           \
  X(PASS_SOCKET, PASS, SERVER_GUARD, SERVICE, "pass-socket", "segment of a socket that exists")    \
  X(ANNOUNCE_ACCEPTED, CONSUME, GUARD, SERVICE, "announce-accepted",                               \
    "announcement from a TRAP server, client admitted")                                            \
  X(DROP_ANNOUNCE_MALFORMED, DROP, GUARD, SERVICE, "drop-announce-malformed",                      \
    "RST from a TRAP server's address without a well-formed ANNOUNCE")                             \
  X(DROP_ANNOUNCE_TIME, DROP, GUARD, SERVICE, "drop-announce-time",                                \
    "announcement that is over, too long, or from the future")                                     \
  X(DROP_ANNOUNCE_MAC, DROP, GUARD, SERVICE, "drop-announce-mac", "announcement with a wrong MAC") \
  X(DROP_UNINVITED, DROP, GUARD, SERVICE, "drop-uninvited",                                        \
    "SYN without a ticket from a client that is not announced")                                    \
  X(DROP_TICKET_EPOCH, DROP, GUARD, SERVICE, "drop-ticket-epoch",                                  \
    "ticket of an epoch that is not accepted")                                                     \
  X(DROP_TICKET_EXPIRED, DROP, GUARD, SERVICE, "drop-ticket-expired", "ticket whose time is over") \
  X(DROP_TICKET_MAC, DROP, GUARD, SERVICE, "drop-ticket-mac",                                      \
    "ticket with a wrong MAC: forged, or for another client, port or guard")                       \
  X(DROP_NO_FLOW, DROP, GUARD, SERVICE, "drop-no-flow",                                            \
    "segment of no admitted flow and no socket")                                                   \
  /* trap-client */                                                                                \
  X(PASS_SYN_REMEMBERED, PASS, CLIENT, ANYTHING, "pass-syn-remembered",                            \
    "SYN of this host noted in case its destination is a TRAP server")                             \
  X(PASS_SYN_TICKETED, PASS, CLIENT, ANYTHING, "pass-syn-ticketed",                                \
    "SYN sent straight to the service, with its ticket")                                           \
  X(PASS_SYN_UNTICKETED, PASS, CLIENT, ANYTHING, "pass-syn-unticketed",                            \
    "SYN sent straight to the service, without its ticket")                                        \
  X(PASS_SYN_GIVEN_UP, PASS, CLIENT, ANYTHING, "pass-syn-given-up",                                \
    "SYNs had no answer: redirect forgotten, TRAP server asked again")                             \
  X(PASS_TO_SERVICE, PASS, CLIENT, ANYTHING, "pass-to-service",                                    \
    "segment of a connection to a backend, translated on its way out")                             \
  X(PASS_FROM_SERVICE, PASS, CLIENT, ANYTHING, "pass-from-service",                                \
    "segment of a connection to a backend, translated on its way in")                              \
  X(REPLY_ACCEPT, REPLY, CLIENT, ANYTHING, "reply-accept",                                         \
    "SYN-ACK with OFFER swallowed and answered")                                                   \
  X(REPLY_REISSUED_SYN, REPLY, CLIENT, ANYTHING, "reply-reissued-syn",                             \
    "RST with REDIRECT swallowed, SYN sent again to the service")                                  \
  X(PASS_REDIRECT_LEARNT, PASS, CLIENT, ANYTHING, "pass-redirect-learnt",                          \
    "RST with REDIRECT learnt for later connections, passed to the application")                   \
  X(PASS_REDIRECT_UNEXPECTED, PASS, CLIENT, ANYTHING, "pass-redirect-unexpected",                  \
    "REDIRECT that fits no pending connect: ignored")                                              \
  X(PASS_REDIRECT_REFUSED, PASS, CLIENT, ANYTHING, "pass-redirect-refused",                        \
    "REDIRECT to an address that policy forbids: ignored")                                         \
  X(PASS_SYN_ACK_NOTED, PASS, CLIENT, ANYTHING, "pass-syn-ack-noted",                              \
    "SYN-ACK without OFFER for a pending connect, passed on")                                      \
  X(PASS_BAD_OPTION, PASS, CLIENT, ANYTHING, "pass-bad-option",                                    \
    "malformed or duplicate TRAP options: treated as if there were none")                          \
  X(DROP_LATE_ANSWER, DROP, CLIENT, ANYTHING, "drop-late-answer",                                  \
    "answer of a TRAP server to a connect that was redirected already")                            \
  /* trap-server, since 0.2 */                                                                     \
  X(PASS_COOKIE, PASS, SERVER, SERVICE, "pass-cookie",                                             \
    "ACK that completes a handshake of a client to be served: up to the listener")                 \
  X(PASS_HANDSHAKE, PASS, SERVER, SERVICE, "pass-handshake",                                       \
    "ACK that completes a handshake of the stack itself")                                          \
  X(PASS_SYN_AT_PEACE, PASS, SERVER, SERVICE, "pass-syn-at-peace",                                 \
    "SYN left to the stack, because there is no attack")                                           \
  X(PASS_AT_PEACE, PASS, SERVER, SERVICE, "pass-at-peace",                                         \
    "any other segment left to the stack, which answers SYNs now")                                 \
  X(PASS_SYN_TIME_WAIT, PASS, SERVER, SERVICE, "pass-syn-time-wait",                               \
    "SYN of a connection that the stack still remembers: only it can reopen it")                   \
  X(DROP_DENIED, DROP, SERVER, SERVICE, "drop-denied",                                             \
    "client whose prefix the service's policy denies")                                             \
  X(DROP_NO_LISTENER, DROP, SERVER, SERVICE, "drop-no-listener",                                   \
    "completing ACK of a client to be served, but there is no listener on this host")              \
  X(DROP_CLIENT_BUDGET, DROP, SERVER, SERVICE, "drop-client-budget",                               \
    "completing ACK beyond the handshakes a client may complete")                                  \
  X(DROP_NETWORK_BUDGET, DROP, SERVER, SERVICE, "drop-network-budget",                             \
    "completing ACK beyond the handshakes a client's network may complete")                        \
  X(DROP_SYN_ACK_CAP, DROP, SERVER, SERVICE, "drop-syn-ack-cap",                                   \
    "SYN beyond the SYN-ACKs this server may send")                                                \
  X(DROP_SERVICE_CAP, DROP, SERVER, SERVICE, "drop-service-cap",                                   \
    "SYN beyond the SYN-ACKs this service may send")                                               \
  X(DROP_RESET_CAP, DROP, SERVER, SERVICE, "drop-reset-cap",                                       \
    "completing ACK beyond the resets this server may send")                                       \
  /* trap-guard, since 0.2 */                                                                      \
  X(PASS_TRUSTED, PASS, GUARD, SERVICE, "pass-trusted",                                            \
    "SYN of a trusted peer: a relay, a health check, monitoring")                                  \
  /* trap-guard, since 0.3 */                                                                      \
  X(DROP_CLIENT_SYNS, DROP, GUARD, SERVICE, "drop-client-syns",                                    \
    "SYN beyond the connections an admitted client may open a second")                             \
  X(DROP_CLIENT_PACKETS, DROP, GUARD, SERVICE, "drop-client-packets",                              \
    "segment beyond the packets an admitted client may send a second")                             \
  X(DROP_CLIENT_BYTES, DROP, GUARD, SERVICE, "drop-client-bytes",                                  \
    "segment beyond the bytes an admitted client may send a second")                               \
  X(DROP_CLIENT_FLOWS, DROP, GUARD, SERVICE, "drop-client-flows",                                  \
    "SYN beyond the connections an admitted client may have open")                                 \
  X(DROP_ANNOUNCE_CAP, DROP, GUARD, SERVICE, "drop-announce-cap",                                  \
    "announcement beyond the new clients of a network a second")                                   \
  X(PASS_ICMP_FLOW, PASS, GUARD, SERVICE, "pass-icmp-flow",                                        \
    "ICMP error about a flow that was admitted or a socket that exists")                           \
  X(DROP_ICMP_NO_FLOW, DROP, GUARD, SERVICE, "drop-icmp-no-flow",                                  \
    "ICMP error about a protected service, but no flow and no socket of it")                       \
  X(DROP_ICMP, DROP, GUARD, ANYTHING, "drop-icmp",                                                 \
    "ICMP query, which this host is configured not to answer")                                     \
  /* any program, since 0.4 */                                                                     \
  X(DROP_VLAN_TAGS, DROP, GUARD, ANYTHING, "drop-vlan-tags",                                       \
    "more VLAN tags in a row than are followed")                                                   \
  /* trap-client, since 0.4 */                                                                     \
  X(PASS_ICMP_TRANSLATED, PASS, CLIENT, ANYTHING, "pass-icmp-translated",                          \
    "ICMP error about a redirected connection, translated like its segments")                      \
  X(PASS_OFFER_DECLINED, PASS, CLIENT, ANYTHING, "pass-offer-declined",                            \
    "SYN-ACK with OFFER passed on: redirects of this service led nowhere lately")                  \
  X(REPLY_SYN_AGAIN, REPLY, CLIENT, ANYTHING, "reply-syn-again",                                   \
    "answer that leads nowhere swallowed, SYN sent again to the TRAP server")                      \
  X(PASS_OFFER_REFUSED, PASS, CLIENT, ANYTHING, "pass-offer-refused",                              \
    "OFFER of a service that policy allows no redirects: passed on")                               \
  X(REDIRECT_RENEWED, CONSUME, CLIENT, ANYTHING, "redirect-renewed",                               \
    "REDIRECT that the daemon asked for before the one in use ended")                              \
  /* trap-server, since 0.6 */                                                                     \
  X(PASS_BEHIND_COOKIE, PASS, SERVER, SERVICE, "pass-behind-cookie",                               \
    "segment right behind the ACK of a client to be served: up to the connection")                 \
  /* since 0.6 */                                                                                  \
  X(DROP_MAPPED_ADDRESS, DROP, SERVER_GUARD, ANYTHING, "drop-mapped-address",                      \
    "IPv6 packet with an IPv4-mapped address (::ffff:0:0/96)")                                     \
  X(DROP_MARTIAN_SOURCE, DROP, SERVER_GUARD, SERVICE, "drop-martian-source",                       \
    "source that no host can have: multicast, loopback, unspecified or reserved")                  \
  X(DROP_GROUP_MAC, DROP, SERVER_GUARD, SERVICE, "drop-group-mac",                                 \
    "frame to a broadcast or multicast Ethernet address")                                          \
  /* trap-guard, since 0.6 */                                                                      \
  X(DROP_NETWORK_SYNS, DROP, GUARD, SERVICE, "drop-network-syns",                                  \
    "SYN beyond the connections that a network of admitted clients may open a second")             \
  X(DROP_NETWORK_PACKETS, DROP, GUARD, SERVICE, "drop-network-packets",                            \
    "segment beyond the packets that a network of admitted clients may send a second")             \
  X(DROP_NETWORK_FLOWS, DROP, GUARD, SERVICE, "drop-network-flows",                                \
    "SYN beyond the connections that a network of admitted clients may have open")                 \
  X(PASS_SYN_LEFT, PASS, SERVER, SERVICE, "pass-syn-left",                                         \
    "SYN left to the stack: nothing listens, or the listener takes no cookies")                    \
  X(PASS_ANSWER, PASS, GUARD, SERVICE, "pass-answer",                                              \
    "SYN-ACK that leaves for the client of a flow")                                                \
  X(PASS_CONSENT, PASS, GUARD, SERVICE, "pass-consent",                                            \
    "SYN-ACK that leaves with CONSENT, because a ticket let the SYN in")                           \
  X(PASS_CONSENT_LEFT_OUT, PASS, GUARD, SERVICE, "pass-consent-left-out",                          \
    "SYN-ACK to a ticket that leaves as it is: no room for CONSENT, data, or a signature")         \
  X(DROP_HALF_OPEN, DROP, GUARD, SERVICE, "drop-half-open",                                        \
    "segment of a half-open flow that does not acknowledge the SYN-ACK")                           \
  X(REPLY_UNCONSENTED, REPLY, CLIENT, ANYTHING, "reply-unconsented",                               \
    "redirect's target did not consent: reset, and SYN sent again to the TRAP server")             \
  X(DROP_UNCONSENTED, DROP, CLIENT, ANYTHING, "drop-unconsented",                                  \
    "SYN or SYN-ACK of a redirect's target that has not consented, while no answer is waited for") \
  X(DROP_TICKET_POOL, DROP, GUARD, SERVICE, "drop-ticket-pool",                                    \
    "right ticket, but its tag is of another pool than the address")                               \
  X(DROP_ANNOUNCE_POOL, DROP, GUARD, SERVICE, "drop-announce-pool",                                \
    "right announcement, but its tag is of another pool than the address")                         \
  X(PASS_OTHER_MAC, PASS, SERVER, SERVICE, "pass-other-mac",                                       \
    "frame for another host's Ethernet address: not answered")

enum trap_verdict {
#define TRAP_VERDICT_ENUM(id, action, parts, about, name, text) TRAP_##id,
  TRAP_VERDICTS(TRAP_VERDICT_ENUM)
#undef TRAP_VERDICT_ENUM
      TRAP_VERDICT_COUNT,
};

/* Counters are kept per service slot and verdict: index slot * TRAP_VERDICT_SLOTS + verdict. Slot 0
 * is no service. */
#define TRAP_VERDICT_SLOTS 96

/* Value of the counter maps. Bytes are those of the frame: link layer and IP packet by the IP
 * header's account. */
struct trap_count {
  __u64 packets;
  __u64 bytes_in;
  __u64 bytes_out; /* of answers */
};

TRAP_ASSERT(sizeof(struct trap_count) == 24, "shared through maps");

TRAP_ASSERT(TRAP_VERDICT_COUNT <= TRAP_VERDICT_SLOTS,
            "the counter maps have room for every verdict");

/* A load from a table: a program asks for every packet, and a switch over this many verdicts is a
 * tree of comparisons. */
TRAP_INLINE TRAP_MUST_USE enum trap_action trap_verdict_action(enum trap_verdict verdict) {
#define TRAP_VERDICT_ACTION(id, action, parts, about, name, text) TRAP_ACTION_##action,
  static const __u8 actions[TRAP_VERDICT_COUNT] = {TRAP_VERDICTS(TRAP_VERDICT_ACTION)};
#undef TRAP_VERDICT_ACTION
  __u64 at = verdict;

  TRAP_HOLD(at);
  return at < TRAP_VERDICT_COUNT ? (enum trap_action)actions[at] : TRAP_ACTION_DROP;
}

/* The set of parts that can give this verdict, as bits of enum trap_parts; none for an unknown one.
 */
TRAP_INLINE __u32 trap_verdict_parts(enum trap_verdict verdict) {
#define TRAP_VERDICT_PARTS(id, action, parts, about, name, text) TRAP_PARTS_##parts,
  static const __u8 parts_of[TRAP_VERDICT_COUNT] = {TRAP_VERDICTS(TRAP_VERDICT_PARTS)};
#undef TRAP_VERDICT_PARTS
  return (__u32)verdict < TRAP_VERDICT_COUNT ? parts_of[verdict] : 0;
}

TRAP_INLINE enum trap_about trap_verdict_about(enum trap_verdict verdict) {
#define TRAP_VERDICT_ABOUT(id, action, parts, about, name, text) TRAP_ABOUT_##about,
  static const __u8 about[TRAP_VERDICT_COUNT] = {TRAP_VERDICTS(TRAP_VERDICT_ABOUT)};
#undef TRAP_VERDICT_ABOUT
  return (__u32)verdict < TRAP_VERDICT_COUNT ? (enum trap_about)about[verdict] : TRAP_ABOUT_SERVICE;
}

/* Does a stage of a walk end it? If so, the stage has written the verdict. */
enum trap_walk {
  TRAP_WALK_GOES_ON,
  TRAP_WALK_ENDS,
};
