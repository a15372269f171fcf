/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The SYN cookie of docs/protocol.md 6: 31 bits of SipHash-1-3 and one bit of window parity. */
#pragma once

#include "protocol/address.h"
#include "protocol/clock.h"
#include "protocol/siphash.h"

#define TRAP_DOMAIN_COOKIE 0x43ULL

/* The two ends of a connection and its ISN, as in the client's SYN. */
struct trap_connection {
  union trap_address client;
  union trap_address server;
  __be16 client_port;
  __be16 server_port;
  __be32 client_isn;
  __u32 family;
};

/* The cookie (host byte order) for a window, with the key of epoch window >> 6. */
TRAP_INLINE __u32 trap_cookie(const struct trap_key* key, const struct trap_connection* c,
                              __u32 window) {
  __u64 ports_and_isn =
      (__u64)c->client_port | (__u64)c->server_port << 16 | (__u64)c->client_isn << 32;
  __u64 tail = (__u64)TRAP_BE32(window) | TRAP_DOMAIN_COOKIE << 32;
  __u64 hash;

  if (c->family == TRAP_IPV4) {
    __u64 words[2] = {(__u64)c->client.be32[3] | (__u64)c->server.be32[3] << 32, ports_and_isn};

    hash = trap_siphash13_words(key, words, 2, tail, 7);
  } else {
    __u64 words[5] = {c->client.raw64[0], c->client.raw64[1], c->server.raw64[0],
                      c->server.raw64[1], ports_and_isn};

    hash = trap_siphash13_words(key, words, 5, tail, 7);
  }
  return (__u32)hash << 1 | (window & 1);
}

/* The window of a right cookie: the present or the previous one, as its lowest bit says. */
TRAP_INLINE __u32 trap_cookie_window_of(__u32 cookie, __u32 now_window) {
  return now_window - ((cookie ^ now_window) & 1);
}
