/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kinds of listeners that cookies suit badly, by the kernel's own fields. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Each field is there only in kernels that were built with it. Pointers are opaque, but defined:
 * libbpf 1.1 considers a struct that is only declared incompatible with the kernel's. */
struct tcp_md5sig_info {
  __u8 opaque;
};

struct tcp_ao_info {
  __u8 opaque;
};

struct sock_reuseport {
  __u8 opaque;
};

struct sock {
  __u32 sk_mark;
  struct {
    int counter;
  } sk_drops;
  struct sock_reuseport* sk_reuseport_cb;
  __u32 sk_ack_backlog;
  __u32 sk_max_ack_backlog;
} __attribute__((preserve_access_index));

struct ipv6_pinfo {
  __u8 min_hopcount;
} __attribute__((preserve_access_index));

struct inet_sock {
  struct sock sk;
  struct ipv6_pinfo* pinet6;
  __u8 min_ttl;
} __attribute__((preserve_access_index));

struct inet_connection_sock {
  struct inet_sock icsk_inet;
} __attribute__((preserve_access_index));

struct tcp_options_received {
  __u16 user_mss;
} __attribute__((preserve_access_index));

struct tcp_sock {
  struct inet_connection_sock inet_conn;
  struct tcp_options_received rx_opt;
  _Bool is_mptcp;
  struct tcp_md5sig_info* md5sig_info;
  struct tcp_ao_info* ao_info;
} __attribute__((preserve_access_index));

/* TCP_MAXSEG: no connection of the listener sends longer segments. 0: it has none. */
static __always_inline __u32 longest_segment(const struct tcp_sock* socket) {
  return socket->rx_opt.user_mss;
}

static __always_inline int is_multipath(const struct tcp_sock* socket) {
  return bpf_core_field_exists(socket->is_mptcp) && socket->is_mptcp;
}

/* Has it TCP-MD5 or TCP-AO keys of some peer? */
static __always_inline int has_signatures(const struct tcp_sock* socket) {
  return (bpf_core_field_exists(socket->md5sig_info) && socket->md5sig_info) ||
         (bpf_core_field_exists(socket->ao_info) && socket->ao_info);
}

/* Does it refuse clients by their TTL or hop limit (RFC 5082)? */
static __always_inline int wants_near_clients(const struct tcp_sock* socket) {
  const struct inet_sock* inet = &socket->inet_conn.icsk_inet;

  if (inet->min_ttl)
    return 1;
  return bpf_core_field_exists(inet->pinet6) && inet->pinet6 && inet->pinet6->min_hopcount;
}

/* SO_MARK, by which rules may route its answers. */
static __always_inline __u32 mark_of(const struct tcp_sock* socket) {
  return socket->inet_conn.icsk_inet.sk.sk_mark;
}

/* Has its queue no room for another connection? */
static __always_inline int is_full(const struct tcp_sock* socket) {
  const struct sock* queue = &socket->inet_conn.icsk_inet.sk;

  return queue->sk_ack_backlog > queue->sk_max_ack_backlog;
}

static __always_inline __u32 room_of(const struct tcp_sock* socket) {
  return socket->inet_conn.icsk_inet.sk.sk_max_ack_backlog;
}

/* Packets that it did not take, for a full queue or another reason. */
static __always_inline __u32 drops_of(const struct tcp_sock* socket) {
  return (__u32)socket->inet_conn.icsk_inet.sk.sk_drops.counter;
}

/* Are there others with its address and port (SO_REUSEPORT)? */
static __always_inline int shares_address(const struct tcp_sock* socket) {
  return socket->inet_conn.icsk_inet.sk.sk_reuseport_cb != 0;
}
