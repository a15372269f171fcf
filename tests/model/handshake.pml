/* SPDX-License-Identifier: Apache-2.0 */
/* One connect of a host with trap-client, from the application's first SYN to its end: the socket,
 * the module (client/bpf), a TRAP server (server/bpf) and the service behind it, over a network that
 * loses, doubles and reorders. README.md says what is proved, and how states map to the code. */

#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef DOUBLES
#define DOUBLES 1
#endif
#define SYNS 7 /* that a socket sends: the first, and Linux's tcp_syn_retries more */
#define HASTY 3 /* of them may leave before the answer to the last: 1, 3 and 7 s; no path is slower */

/* Faults that the client once had can be put back, to see that the model finds it. */
#ifdef FAULT_LATE_REDIRECT
#define swallows_late_redirect false
#else
#define swallows_late_redirect true
#endif
#ifdef FAULT_SECOND_COOKIE
#define knows_both_cookies false
#else
#define knows_both_cookies true
#endif
#ifdef FAULT_LATE_OFFER
#define declines_late_offer false
#else
#define declines_late_offer true
#endif
#ifdef FAULT_NO_WAY_OUT
#define leaves_to_resets false
#else
#define leaves_to_resets true
#endif
#ifdef FAULT_SWALLOWED_RESET
#define knows_the_sockets_reset false
#else
#define knows_the_sockets_reset true
#endif
#ifdef FAULT_DEAD_END
#define ends_dead_ends false
#else
#define ends_dead_ends true
#endif

/* Names of the code: pending's states, the flags (a variable each, in small letters), the numbers and
 * the verdicts. check.model compares them with the functions that the comment above an inline names;
 * `not here` are the names in those functions that this model leaves out, and why. */
#define gives(verdict) skip
#define SYNS_TO_SERVICE 3
#define ACCEPTS_IN_VAIN 2
#define RESETS_IN_VAIN 8
#define VAIN_OF_OTHERS 5 /* of connects before this one */
#define connect_resets (!serves)
#define is_patience_over (socket_syns == SYNS) /* a minute after the first */

/* client/maps.h, enum trap_pending_state */
mtype = { NO_SYN, SYN_SENT, ACCEPT_SENT, SYN_ACK_PASSED, REDIRECTED, ANSWERED };
/* the application's socket */
mtype = { CONNECTING, AT_SERVER, AT_SERVICE, REFUSED, RESET, GIVEN_UP };

/* What the run is about, chosen at its beginning. */
bool serves; /* unaware = "serve", else "reset" */
bool alive;  /* the service answers */
bool of_use; /* the client can and may follow redirects: no other address family, no policy */
bool consents; /* the service's SYN-ACK has CONSENT, or does without: a trust, or next door */
bool loses_accepts, loses_redirects; /* the network has no way for segments with TRAP's option */

/* Packets under way: how many of each kind. Cookies are of one of two windows. */
byte syn_to_server, accept[2], ack[2], syn_ack[2], rst[2];
byte syn_to_service, ack_to_service, syn_ack_of_service, rst_of_service;
byte lost, doubled;
bool stripped;  /* a middlebox took the option out of a SYN-ACK */
bool forgotten; /* the fallback that this connect had noted, by another connection's success */

mtype socket = CONNECTING;
byte socket_syns;
byte socket_cookie;

mtype pending = NO_SYN;
byte iss;            /* of the last SYN-ACK seen: which cookie */
bool accepted[2];    /* ACCEPTs were sent for the ISN: of which cookies */
byte accepts;
byte vain = VAIN_OF_OTHERS; /* of the service's ACCEPTs, in a row */
bool redirect;       /* in map redirects */
bool flow;           /* in maps to_backend and to_public */
byte flow_syns;
bool connect_asked_again, connect_unconsented, connect_gave_up, connect_accepted;
bool fallback_served, fallback_unreachable, fallback_unconsented, fallback_reset;
hidden byte may_follow, is_swallowed; /* of a REDIRECT at hand */
byte syns_sent;      /* of both kinds, by host and module together */

bool served;         /* the listener has the connection */
byte service_state;  /* 0: nothing, 1: half open, 2: established */

#define MOST 3
inline send(what) { if :: what < MOST -> what++ :: else -> skip fi }

/* A packet arrives; the network may keep a second one. */
inline take(what) {
  if
  :: what--
  :: doubled < DOUBLES -> doubled++
  fi
}

inline give_syn_to_server() { send(syn_to_server); syns_sent++ }

/* client/bpf/retry.bpf.h: send_syn_again
 * not here: DROP_INTERNAL (a helper fails) */
inline send_syn_again() { pending = SYN_SENT; gives(REPLY_SYN_AGAIN); give_syn_to_server() }

/* client/bpf/retry.bpf.h: ask_to_be_served */
inline ask_to_be_served() { fallback_served = true; send_syn_again() }

/* client/bpf/egress.bpf.h: judge_outgoing_syn, judge_redirected_syn, judge_plain_syn, remember_syn,
 * keep_progress, note_unanswered, has_turned_back, send_to_service, translate_outward
 * client/bpf/pending.bpf.h: has_given_up
 * client/bpf/fallback.bpf.h: note_backend, note_in_vain
 * not here: DROP_INTERNAL (a helper fails), PASS_OTHER (connects that are not the application's),
 * CONNECT_HAS_NO_WAY (there is one connect), PASS_SYN_UNTICKETED (as with the ticket),
 * FALLBACK_OF_BACKEND (there is one backend), CONNECT_AE (what the SYN looks like) */
inline module_sends_syn() {
  if
  :: flow -> flow_syns++
  :: else -> flow_syns = 1
  fi;
  if
  :: redirect && flow_syns <= SYNS_TO_SERVICE && !connect_unconsented &&
        !(ends_dead_ends && connect_gave_up && is_patience_over && connect_resets) ->
     flow = true;
     pending = REDIRECTED;
     gives(PASS_SYN_TICKETED);
     send(syn_to_service);
     syns_sent++
  :: else ->
     if
     :: flow && flow_syns > SYNS_TO_SERVICE ->
        fallback_unreachable = true; redirect = false;
        connect_gave_up = connect_gave_up || accepts > 0; gives(PASS_SYN_GIVEN_UP)
     :: else -> gives(PASS_SYN_REMEMBERED)
     fi;
     flow = false;
     if
     :: pending == ACCEPT_SENT && accepts >= ACCEPTS_IN_VAIN && !connect_resets -> fallback_served = true
     :: pending == ACCEPT_SENT && connect_resets && connect_accepted && leaves_to_resets ->
        if :: vain < RESETS_IN_VAIN -> vain++ :: else -> skip fi;
        if :: vain == RESETS_IN_VAIN -> fallback_reset = true :: else -> skip fi
     :: else -> skip
     fi;
     connect_accepted = false;
     if
     :: pending == ACCEPT_SENT || pending == SYN_ACK_PASSED -> skip
     :: else -> pending = SYN_SENT
     fi;
     give_syn_to_server()
  fi
}

/* What the socket sends once it is established with the server; egress translates by the flow. */
inline socket_acknowledges() {
  if
  :: flow -> send(ack_to_service) /* a segment that the service knows nothing of */
  :: else -> send(ack[socket_cookie])
  fi
}

inline socket_gets_syn_ack(c) {
  if
  :: socket == CONNECTING -> socket = AT_SERVER; socket_cookie = c; socket_acknowledges()
  :: socket == AT_SERVER && socket_cookie == c -> socket_acknowledges()
  :: else -> skip /* RFC 5961 4: at most a challenge ACK */
  fi
}

/* RFC 9293 3.10.7: in SYN-SENT what acknowledges the SYN resets; later the exact number does. */
inline socket_gets_rst(c) {
  if
  :: socket == CONNECTING -> socket = REFUSED
  :: socket == AT_SERVER && socket_cookie == c -> socket = RESET
  :: else -> skip
  fi
}

/* client/bpf/ingress.bpf.h: follow_redirect
 * client/bpf/respond.bpf.h: reissue_syn
 * not here: DROP_INTERNAL (a helper fails), REDIRECT_RENEWED (of no connect), FALLBACK_UNTICKETED
 * (as with the ticket) */
inline follow_redirect(c) {
  if
  :: pending == SYN_ACK_PASSED ->
     pending = REDIRECTED; redirect = true; gives(PASS_REDIRECT_LEARNT); socket_gets_rst(c)
  :: else ->
     pending = REDIRECTED;
     redirect = true;
     flow = true;
     flow_syns = 1;
     gives(REPLY_REISSUED_SYN);
     send(syn_to_service);
     syns_sent++
  fi
}

#define quiet                                                                                      \
  (syn_to_server + accept[0] + accept[1] + ack[0] + ack[1] + syn_ack[0] + syn_ack[1] + rst[0] +    \
       rst[1] + syn_to_service + ack_to_service + syn_ack_of_service + rst_of_service ==           \
   0)

/* client/bpf/ingress.bpf.h: judge_syn_ack, note_syn_ack, note_accept,
 * is_to_be_declined
 * client/bpf/respond.bpf.h: reply_with_accept
 * not here: DROP_INTERNAL (a helper fails), PASS_OFFER_REFUSED (policy), PASS_BAD_OPTION (as without
 * OFFER), PASS_OTHER (answers to other connects), CONNECT_HAS_NO_WAY (there is one connect) */
inline module_gets_syn_ack(c) {
  if
  :: pending == NO_SYN -> skip
  :: pending == REDIRECTED || pending == ANSWERED -> gives(DROP_LATE_ANSWER)
  :: pending == SYN_ACK_PASSED && declines_late_offer ->
     gives(PASS_OFFER_DECLINED); socket_gets_syn_ack(c)
  :: else ->
     iss = c;
     if
     :: connect_resets && fallback_reset || !connect_resets && (fallback_served || connect_unconsented) ->
        pending = SYN_ACK_PASSED; gives(PASS_OFFER_DECLINED); socket_gets_syn_ack(c)
     :: else ->
        pending = ACCEPT_SENT;
        gives(REPLY_ACCEPT);
        accepted[c] = true;
        if :: accepts < ACCEPTS_IN_VAIN && !connect_accepted -> accepts++ :: else -> skip fi;
        connect_accepted = true;
        if :: loses_accepts -> skip :: else -> send(accept[c]) fi
     fi
  fi
}

/* The same for a SYN-ACK without OFFER. */
inline module_gets_plain_syn_ack(c) {
  if
  :: pending == NO_SYN -> skip
  :: pending == REDIRECTED || pending == ANSWERED -> gives(DROP_LATE_ANSWER)
  :: else ->
     if :: pending != SYN_ACK_PASSED -> iss = c :: else -> skip fi;
     pending = SYN_ACK_PASSED;
     gives(PASS_SYN_ACK_NOTED);
     socket_gets_syn_ack(c)
  fi
}

/* client/bpf/ingress.bpf.h: judge_rst, verdict_of_stranger, find_redirect, may_be_served,
 * leads_nowhere, will_not_consent, is_the_sockets, is_to_be_reset
 * client/bpf/fallback.bpf.h: is_noted_of, note_heard
 * client/bpf/pending.bpf.h: has_given_up
 * not here: PASS_OTHER (a RST without REDIRECT), PASS_BAD_OPTION (as with a target that is refused),
 * REPLY_REISSUED_SYN (of follow_redirect) */
inline module_gets_rst(c) {
  if
  :: pending == ACCEPT_SENT && (c == iss || accepted[c]) -> vain = 0; fallback_reset = false
  :: else -> skip
  fi;
  may_follow = of_use && !connect_unconsented && !fallback_unconsented &&
               !(ends_dead_ends && connect_resets && fallback_unreachable &&
                 (connect_asked_again || connect_gave_up && is_patience_over ||
                  pending == SYN_ACK_PASSED && fallback_reset));
  is_swallowed = swallows_late_redirect && accepted[c] &&
                 !(knows_the_sockets_reset && pending == SYN_ACK_PASSED && connect_resets && c == iss);
  if
  :: !(c == iss || (knows_both_cookies && accepted[c])) ->
     gives(PASS_REDIRECT_UNEXPECTED); socket_gets_rst(c)
  :: else ->
     if
     :: pending == REDIRECTED || pending == ANSWERED -> gives(DROP_LATE_ANSWER)
     :: (pending == NO_SYN || pending == SYN_SENT || pending == SYN_ACK_PASSED) &&
           is_swallowed ->
        gives(DROP_LATE_ANSWER)
     :: (pending == NO_SYN || pending == SYN_SENT) && !is_swallowed ->
        gives(PASS_REDIRECT_UNEXPECTED); socket_gets_rst(c)
     :: pending == ACCEPT_SENT || pending == SYN_ACK_PASSED && !is_swallowed ->
        if
        :: pending == ACCEPT_SENT && (!may_follow || fallback_unreachable) && !connect_resets ->
           ask_to_be_served()
        :: !(pending == ACCEPT_SENT && !connect_resets) && !may_follow ->
           gives(PASS_REDIRECT_REFUSED); socket_gets_rst(c)
        :: may_follow && !(pending == ACCEPT_SENT && fallback_unreachable && !connect_resets) ->
           follow_redirect(c)
        fi
     fi
  fi
}

/* client/bpf/ingress.bpf.h: judge_service_rst, judge_service_syn, translate_inward
 * client/bpf/consent.bpf.h: has_begun, refuse_target
 * client/bpf/retry.bpf.h: ask_again
 * client/bpf/fallback.bpf.h: note_backend
 * not here: DROP_INTERNAL (a helper fails), PASS_OTHER (forwarded connections), FALLBACK_OF_BACKEND
 * (there is one backend), REPLY_SYN_AGAIN (of send_syn_again), CONNECT_HAS_NO_WAY (of errors about what
 * is the SYN's own) */
inline module_gets_service_syn_ack() {
  if
  :: !flow -> service_state = 0 /* no socket has these ends: the stack resets */
  :: flow && pending == REDIRECTED && !consents ->
     fallback_unconsented = true; fallback_served = true; redirect = false; flow = false;
     connect_unconsented = true;
     service_state = 0;
     gives(REPLY_UNCONSENTED);
     send_syn_again()
  :: flow && pending != REDIRECTED && pending != ANSWERED && !consents -> gives(DROP_UNCONSENTED)
  :: else ->
     if :: pending == REDIRECTED -> pending = ANSWERED :: else -> skip fi;
     gives(PASS_FROM_SERVICE);
     if
     :: socket == CONNECTING -> socket = AT_SERVICE; send(ack_to_service)
     :: socket == AT_SERVICE -> send(ack_to_service)
     :: else -> skip
     fi
  fi
}

inline module_gets_service_rst() {
  if
  :: !flow || pending != REDIRECTED -> skip
  :: else ->
     if
     :: !connect_asked_again ->
        connect_asked_again = true; fallback_unreachable = true; redirect = false; flow = false;
        send_syn_again()
     :: else -> if :: socket == CONNECTING -> socket = REFUSED :: else -> skip fi
     fi
  fi
}

proctype host() {
end:
  do
  :: atomic { socket == CONNECTING && (socket_syns < HASTY || socket_syns < SYNS && quiet) -> socket_syns++; module_sends_syn() }
  :: atomic { socket == CONNECTING && socket_syns == SYNS && quiet -> socket = GIVEN_UP }
  :: atomic { socket == AT_SERVER && !served && quiet && serves -> socket_acknowledges() }
  :: atomic { syn_ack[0] > 0 -> take(syn_ack[0]); module_gets_syn_ack(0) }
  :: atomic { syn_ack[1] > 0 -> take(syn_ack[1]); module_gets_syn_ack(1) }
  :: atomic { syn_ack[0] > 0 && !stripped ->
       stripped = true; take(syn_ack[0]); module_gets_plain_syn_ack(0) }
  :: atomic { syn_ack[1] > 0 && !stripped ->
       stripped = true; take(syn_ack[1]); module_gets_plain_syn_ack(1) }
  :: atomic { fallback_served && !forgotten ->
       fallback_served = false; fallback_unconsented = false; forgotten = true }
  :: atomic { rst[0] > 0 -> take(rst[0]); module_gets_rst(0) }
  :: atomic { rst[1] > 0 -> take(rst[1]); module_gets_rst(1) }
  :: atomic { syn_ack_of_service > 0 -> take(syn_ack_of_service); module_gets_service_syn_ack() }
  :: atomic { rst_of_service > 0 -> take(rst_of_service); module_gets_service_rst() }
  od
}

/* A connection that the stack has goes before.
 * server/bpf/ack.bpf.h: judge_completion
 * not here: DROP_DENIED (policy), DROP_NO_LISTENER (configuration) */
inline server_gets_ack(c, has_accept) {
  if
  :: serves && served -> skip
  :: serves && !has_accept -> served = true; gives(PASS_COOKIE)
  :: else ->
     gives(REPLY_REDIRECT);
     if :: loses_redirects -> skip :: else -> send(rst[c]) fi
  fi
}

/* Without state: any SYN is answered, with the cookie of either window. */
proctype server() {
end:
  do
  :: atomic { syn_to_server > 0 -> take(syn_to_server);
       if :: true -> send(syn_ack[0]) :: true -> send(syn_ack[1]) fi }
  :: atomic { accept[0] > 0 -> take(accept[0]); server_gets_ack(0, true) }
  :: atomic { accept[1] > 0 -> take(accept[1]); server_gets_ack(1, true) }
  :: atomic { ack[0] > 0 -> take(ack[0]); server_gets_ack(0, false) }
  :: atomic { ack[1] > 0 -> take(ack[1]); server_gets_ack(1, false) }
  od
}

proctype service() {
end:
  do
  :: atomic { syn_to_service > 0 -> take(syn_to_service);
       if
       :: alive && service_state < 2 -> service_state = 1; send(syn_ack_of_service)
       :: alive && service_state == 2 -> skip
       :: !alive -> skip                  /* a host that is gone */
       :: !alive -> send(rst_of_service)  /* a port that is closed */
       fi }
  :: atomic { ack_to_service > 0 -> take(ack_to_service);
       if :: service_state == 1 -> service_state = 2 :: else -> skip fi }
  :: atomic { service_state == 1 && quiet && socket == AT_SERVICE -> send(syn_ack_of_service) }
  od
}

#define LOSE(what) :: atomic { what > 0 && lost < LOSSES -> what--; lost++ }

proctype network() {
end:
  do
  LOSE(syn_to_server)
  LOSE(accept[0])
  LOSE(accept[1])
  LOSE(ack[0])
  LOSE(ack[1])
  LOSE(syn_ack[0])
  LOSE(syn_ack[1])
  LOSE(rst[0])
  LOSE(rst[1])
  LOSE(syn_to_service)
  LOSE(ack_to_service)
  LOSE(syn_ack_of_service)
  LOSE(rst_of_service)
  od
}

#define is_good (alive && of_use && consents)

/* May three more ACCEPTs be in vain? Those whose redirects led to no use count. */
#define is_poor (loses_accepts || loses_redirects || lost > 2 || !is_good)

/* What holds in every state, and what holds when nothing moves any more. Without the module, a
 * connect to a service that resets ends RESET, or AT_SERVER if its ACK or the answer to that is
 * lost. So it may with the module, if a middlebox took OFFER out or three more ACCEPTs were in vain. */
proctype properties() {
  do
  :: d_step { socket == RESET -> assert(!serves && (stripped || is_poor)) }
  :: d_step { socket == REFUSED -> assert(!serves && (!is_good || lost > 2)) }
  :: d_step { socket == AT_SERVER && flow -> assert(false) } /* its segments would go elsewhere */
  :: d_step { syns_sent > 2 * SYNS + 4 -> assert(false) }
  :: timeout ->
     assert(socket != CONNECTING);
     assert(LOSSES > 1 || socket != GIVEN_UP || fallback_unreachable && lost > 0);
     assert(socket != AT_SERVER || serves && served ||
            !serves && (stripped || is_poor) && (loses_redirects || lost > 0));
     assert(socket != AT_SERVICE || service_state == 2 && consents);
     break
  od
}

init {
  atomic {
    if :: serves = true :: serves = false fi;
    if :: alive = true :: alive = false fi;
    if :: of_use = true :: of_use = false fi;
    if :: consents = true :: alive && of_use -> consents = false fi;
    if :: true -> skip :: loses_accepts = true :: loses_redirects = true fi;
    run host();
    run server();
    run service();
    run network();
    run properties()
  }
}
