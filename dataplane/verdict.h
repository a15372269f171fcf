/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every way a packet's path can end, for BPF, user space, metrics and documents: the one table.
 * X(identifier, action, name, explanation); the name is what operators see, everywhere. Append
 * only: ids are map keys. */
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

#define TRAP_VERDICTS(X)                                                                           \
  /* any program */                                                                                \
  X(PASS_OTHER, PASS, "pass-other", "not addressed to anything TRAP looks after")                  \
  X(DROP_TRUNCATED, DROP, "drop-truncated", "frame ends before the header it announces")           \
  X(DROP_BAD_IP_HEADER, DROP, "drop-bad-ip-header",                                                \
    "IP version, header length or total length is impossible")                                     \
  X(DROP_BAD_IP_CHECKSUM, DROP, "drop-bad-ip-checksum", "IPv4 header checksum is wrong")           \
  X(DROP_FRAGMENT, DROP, "drop-fragment", "fragment addressed to a protected service")             \
  X(DROP_EXTENSION_HEADERS, DROP, "drop-extension-headers",                                        \
    "more IPv6 extension headers in a row than are followed")                                      \
  X(DROP_BAD_DATA_OFFSET, DROP, "drop-bad-data-offset",                                            \
    "TCP data offset is below 5 or beyond the segment")                                            \
  X(DROP_BAD_FLAGS, DROP, "drop-bad-flags", "TCP flags that no stack sends together")              \
  X(DROP_NULL, DROP, "drop-null", "TCP segment without SYN, ACK, RST or FIN")                      \
  X(DROP_MALFORMED_OPTION, DROP, "drop-malformed-option",                                          \
    "TCP options do not parse, or a TRAP option is not of its type's form")                        \
  X(DROP_DUPLICATE_OPTION, DROP, "drop-duplicate-option",                                          \
    "more than one TRAP option in a segment")                                                      \
  X(DROP_NO_KEY, DROP, "drop-no-key",                                                              \
    "no key for the present epoch: has the daemon been down for hours?")                           \
  X(DROP_INTERNAL, DROP, "drop-internal", "a kernel helper failed on a packet of ours")            \
  /* trap-server */                                                                                \
  X(REPLY_SYN_ACK, REPLY, "reply-syn-ack", "SYN answered with a SYN cookie and OFFER")             \
  X(REPLY_REDIRECT, REPLY, "reply-redirect",                                                       \
    "completing ACK answered with a RST that carries the REDIRECT")                                \
  X(DROP_BAD_COOKIE, DROP, "drop-bad-cookie", "ACK that completes no handshake of ours")           \
  X(DROP_RST, DROP, "drop-rst", "RST to a service at the TRAP server")                             \
  X(DROP_FIN, DROP, "drop-fin", "FIN to a service at the TRAP server")                             \
  X(DROP_SYN_ACK, DROP, "drop-syn-ack", "SYN-ACK to a service at the TRAP server")                 \
  X(DROP_NO_BACKEND, DROP, "drop-no-backend",                                                      \
    "completing ACK, but the service has no backend to name")                                      \
  /* trap-guard */                                                                                 \
  X(PASS_TICKET, PASS, "pass-ticket", "SYN with a valid ticket")                                   \
  X(PASS_ANNOUNCED, PASS, "pass-announced", "SYN from a client that a TRAP server announced")      \
  X(PASS_FLOW, PASS, "pass-flow", "segment of a flow that was admitted")                           \
  X(PASS_SOCKET, PASS, "pass-socket", "segment of a socket that exists")                           \
  X(ANNOUNCE_ACCEPTED, CONSUME, "announce-accepted",                                               \
    "announcement from a TRAP server, client admitted")                                            \
  X(DROP_ANNOUNCE_MALFORMED, DROP, "drop-announce-malformed",                                      \
    "RST from a TRAP server's address without a well-formed ANNOUNCE")                             \
  X(DROP_ANNOUNCE_TIME, DROP, "drop-announce-time",                                                \
    "announcement that is over, too long, or from the future")                                     \
  X(DROP_ANNOUNCE_MAC, DROP, "drop-announce-mac", "announcement with a wrong MAC")                 \
  X(DROP_UNINVITED, DROP, "drop-uninvited", "SYN without a ticket from a client nobody announced") \
  X(DROP_TICKET_EPOCH, DROP, "drop-ticket-epoch", "ticket of an epoch that is not accepted")       \
  X(DROP_TICKET_EXPIRED, DROP, "drop-ticket-expired", "ticket whose time is over")                 \
  X(DROP_TICKET_MAC, DROP, "drop-ticket-mac",                                                      \
    "ticket with a wrong MAC: forged, or for another client, port or guard")                       \
  X(DROP_NO_FLOW, DROP, "drop-no-flow", "segment of no admitted flow and no socket")               \
  /* trap-client */                                                                                \
  X(PASS_SYN_REMEMBERED, PASS, "pass-syn-remembered",                                              \
    "SYN of this host noted in case its destination is a TRAP server")                             \
  X(PASS_SYN_TICKETED, PASS, "pass-syn-ticketed",                                                  \
    "SYN sent straight to the service, with its ticket")                                           \
  X(PASS_SYN_UNTICKETED, PASS, "pass-syn-unticketed",                                              \
    "SYN sent straight to the service, without its ticket")                                        \
  X(PASS_SYN_GIVEN_UP, PASS, "pass-syn-given-up",                                                  \
    "SYN repeated too often: redirect forgotten, TRAP server asked again")                         \
  X(PASS_TO_SERVICE, PASS, "pass-to-service",                                                      \
    "segment of a redirected connection, translated on its way out")                               \
  X(PASS_FROM_SERVICE, PASS, "pass-from-service",                                                  \
    "segment of a redirected connection, translated on its way in")                                \
  X(REPLY_ACCEPT, REPLY, "reply-accept", "SYN-ACK with OFFER swallowed and answered")              \
  X(REPLY_REISSUED_SYN, REPLY, "reply-reissued-syn",                                               \
    "RST with REDIRECT swallowed, SYN sent again to the service")                                  \
  X(PASS_REDIRECT_LEARNT, PASS, "pass-redirect-learnt",                                            \
    "RST with REDIRECT learnt for later connections, passed to the application")                   \
  X(PASS_REDIRECT_UNEXPECTED, PASS, "pass-redirect-unexpected",                                    \
    "REDIRECT that fits no pending connect: ignored")                                              \
  X(PASS_REDIRECT_REFUSED, PASS, "pass-redirect-refused",                                          \
    "REDIRECT to an address that policy forbids: ignored")                                         \
  X(PASS_SYN_ACK_NOTED, PASS, "pass-syn-ack-noted",                                                \
    "SYN-ACK without OFFER for a pending connect, passed on")                                      \
  X(PASS_BAD_OPTION, PASS, "pass-bad-option",                                                      \
    "malformed or duplicate TRAP options: treated as if there were none")                          \
  X(DROP_LATE_ANSWER, DROP, "drop-late-answer",                                                    \
    "answer of a TRAP server to a connect that was redirected already")                            \
  /* trap-server, since 0.2 */                                                                     \
  X(PASS_COOKIE, PASS, "pass-cookie",                                                              \
    "ACK that completes a handshake of a client to be served: up to the listener")                 \
  X(PASS_HANDSHAKE, PASS, "pass-handshake", "ACK that completes a handshake of the stack itself")  \
  X(PASS_SYN_AT_PEACE, PASS, "pass-syn-at-peace",                                                  \
    "SYN left to the stack, because there is no attack")                                           \
  X(PASS_AT_PEACE, PASS, "pass-at-peace",                                                          \
    "any other segment left to the stack, because there is no attack")                             \
  X(PASS_SYN_TIME_WAIT, PASS, "pass-syn-time-wait",                                                \
    "SYN of a connection that the stack still remembers: only it can reopen it")                   \
  X(DROP_DENIED, DROP, "drop-denied", "client whose prefix the service's policy denies")           \
  X(DROP_NO_LISTENER, DROP, "drop-no-listener",                                                    \
    "completing ACK of a client to be served, but nobody listens on this host")                    \
  X(DROP_CLIENT_BUDGET, DROP, "drop-client-budget",                                                \
    "completing ACK beyond the handshakes a client may complete")                                  \
  X(DROP_NETWORK_BUDGET, DROP, "drop-network-budget",                                              \
    "completing ACK beyond the handshakes a client's network may complete")                        \
  X(DROP_SYN_ACK_CAP, DROP, "drop-syn-ack-cap", "SYN beyond the SYN-ACKs this server may send")    \
  X(DROP_SERVICE_CAP, DROP, "drop-service-cap", "SYN beyond the SYN-ACKs this service may send")   \
  X(DROP_RESET_CAP, DROP, "drop-reset-cap",                                                        \
    "completing ACK beyond the resets this server may send")                                       \
  /* trap-guard, since 0.2 */                                                                      \
  X(PASS_TRUSTED, PASS, "pass-trusted",                                                            \
    "SYN of a trusted peer: a relay, a health check, monitoring")                                  \
  /* trap-guard, since 0.3 */                                                                      \
  X(DROP_CLIENT_SYNS, DROP, "drop-client-syns",                                                    \
    "SYN beyond the connections an admitted client may open a second")                             \
  X(DROP_CLIENT_PACKETS, DROP, "drop-client-packets",                                              \
    "segment beyond the packets an admitted client may send a second")                             \
  X(DROP_CLIENT_BYTES, DROP, "drop-client-bytes",                                                  \
    "segment beyond the bytes an admitted client may send a second")                               \
  X(DROP_CLIENT_FLOWS, DROP, "drop-client-flows",                                                  \
    "SYN beyond the connections an admitted client may have open")                                 \
  X(DROP_ANNOUNCE_CAP, DROP, "drop-announce-cap",                                                  \
    "announcement beyond the new clients of a network a second")                                   \
  X(PASS_ICMP_FLOW, PASS, "pass-icmp-flow",                                                        \
    "ICMP error about a flow that was admitted or a socket that exists")                           \
  X(DROP_ICMP_NO_FLOW, DROP, "drop-icmp-no-flow",                                                  \
    "ICMP error about a protected service, but no flow and no socket of it")                       \
  X(DROP_ICMP, DROP, "drop-icmp", "ICMP query, which this host is configured not to answer")       \
  /* any program, since 0.4 */                                                                     \
  X(DROP_VLAN_TAGS, DROP, "drop-vlan-tags", "more VLAN tags in a row than are followed")           \
  /* trap-client, since 0.4 */                                                                     \
  X(PASS_ICMP_TRANSLATED, PASS, "pass-icmp-translated",                                            \
    "ICMP error about a redirected connection, translated like its segments")                      \
  X(PASS_OFFER_DECLINED, PASS, "pass-offer-declined",                                              \
    "SYN-ACK with OFFER passed on: redirects of this service led nowhere lately")                  \
  X(REPLY_SYN_AGAIN, REPLY, "reply-syn-again",                                                     \
    "answer that leads nowhere swallowed, SYN sent again to the TRAP server")                      \
  X(PASS_OFFER_REFUSED, PASS, "pass-offer-refused",                                                \
    "OFFER of a service that policy lets redirect nobody: passed on")                              \
  X(REDIRECT_RENEWED, CONSUME, "redirect-renewed",                                                 \
    "REDIRECT that the daemon asked for before the one in use ended")

enum trap_verdict {
#define TRAP_VERDICT_ENUM(id, action, name, text) TRAP_##id,
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

/* A load from a table: every packet asks, and a switch over this many is a tree of comparisons. */
TRAP_INLINE enum trap_action trap_verdict_action(enum trap_verdict verdict) {
#define TRAP_VERDICT_ACTION(id, action, name, text) TRAP_ACTION_##action,
  static const __u8 actions[TRAP_VERDICT_COUNT] = {TRAP_VERDICTS(TRAP_VERDICT_ACTION)};
#undef TRAP_VERDICT_ACTION
  __u64 at = verdict;

  TRAP_HOLD(at);
  return at < TRAP_VERDICT_COUNT ? (enum trap_action)actions[at] : TRAP_ACTION_DROP;
}
