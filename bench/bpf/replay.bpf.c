/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Restores a frame and tail-calls the program under test: BPF_PROG_TEST_RUN with a repeat count
 * goes on with the bytes that the last run left, so that a program which answers would see its own
 * answer. The tested program stays as it is. */
#include "bench/bpf/replay.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/checksum.h"
#include "dataplane/packet.h"
#include "protocol/cookie.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_replay_order);
} replays SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} xdp_target SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} tc_target SEC(".maps");

/* The finalizer of SplitMix64: a bijection, so that different numbers give different packets. */
static __always_inline __u64 scatter(__u64 x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

/* A bijection of 32 bits, for IPv4 addresses. */
static __always_inline __u32 scatter32(__u32 x) {
  x = (x ^ x >> 16) * 0x7feb352dU;
  x = (x ^ x >> 15) * 0x846ca68bU;
  return x ^ x >> 16;
}

/* The checksum field for data in which words with this sum replace zeros. */
static __always_inline __be16 checksum_with(__be16 before, __u64 added) {
  return trap_sum_fold((__u64)(__u16)~before + added);
}

static __always_inline int vary_sources(void* data, void* end,
                                        const struct trap_replay_order* replay) {
  struct trap_tcp* tcp = data + (replay->l4_offset & 0xff);
  void* l3 = data + (replay->l3_offset & 0xff);
  __u64 bits = scatter(replay->number);
  __u64 more = scatter(~replay->number);
  __u64 address_sum;

  if ((void*)(tcp + 1) > end || l3 + sizeof(struct ipv6hdr) > end)
    return 0;
  if (replay->family == TRAP_IPV4) {
    struct iphdr* ip = l3;

    ip->saddr = scatter32((__u32)replay->number);
    address_sum = ip->saddr;
    ip->check = checksum_with(ip->check, address_sum);
  } else {
    __u64 half = (bits & ~0xffffULL) | 0x0120; /* 2001:... */

    __builtin_memcpy(l3 + 8, &half, 8);
    __builtin_memcpy(l3 + 16, &more, 8);
    address_sum = trap_sum64(half) + trap_sum64(more);
  }
  tcp->source_port = (__be16)more;
  tcp->seq = (__be32)bits;
  tcp->ack = (__be32)(more >> 32);
  tcp->checksum =
      checksum_with(tcp->checksum, address_sum + tcp->source_port + (__u64)tcp->seq + tcp->ack);
  return 1;
}

static __always_inline __u32 draw(__u32 random, __u32 count) {
  return (__u32)((__u64)random * count >> 32);
}

static __always_inline __be32 plus(__be32 word, __u32 more) {
  return __builtin_bswap32(__builtin_bswap32(word) + more);
}

static __always_inline void put_cookie(struct trap_tcp* tcp, const struct trap_replay_order* replay,
                                       const union trap_address* client,
                                       const union trap_address* server) {
  struct trap_connection connection = {.client = *client,
                                       .server = *server,
                                       .client_port = tcp->source_port,
                                       .server_port = tcp->destination_port,
                                       .client_isn = plus(tcp->seq, ~0u),
                                       .family = replay->family};

  tcp->ack =
      __builtin_bswap32(trap_cookie(&replay->cookie_key, &connection, replay->cookie_window) + 1);
}

static __always_inline int vary_members(void* data, void* end,
                                        const struct trap_replay_order* replay) {
  struct trap_tcp* tcp = data + (replay->l4_offset & 0xff);
  void* l3 = data + (replay->l3_offset & 0xff);
  __u64 bits = scatter(replay->number);
  __u64 more = scatter(~replay->number);
  __u32 source = draw((__u32)bits, replay->sources) << (replay->source_shift & 31);
  __u32 destination = draw((__u32)(bits >> 32), replay->destinations);
  union trap_address from = {}, to = {};

  if ((void*)(tcp + 1) > end || l3 + sizeof(struct ipv6hdr) > end)
    return 0;
  if (replay->family == TRAP_IPV4) {
    struct iphdr* ip = l3;
    __u64 before = (__u64)(__u32)~ip->saddr + (__u32)~ip->daddr;

    ip->saddr = plus(ip->saddr, source);
    ip->daddr = plus(ip->daddr, destination);
    ip->check = checksum_with(ip->check, before + ip->saddr + ip->daddr);
    from.be32[3] = ip->saddr;
    to.be32[3] = ip->daddr;
  } else {
    __be32* words = l3;

    words[3] = plus(words[3], source);
    words[9] = plus(words[9], destination);
    __builtin_memcpy(&from, words + 2, sizeof(from));
    __builtin_memcpy(&to, words + 6, sizeof(to));
  }
  tcp->destination_port = __builtin_bswap16(
      (__u16)(__builtin_bswap16(tcp->destination_port) + draw((__u32)more, replay->ports)));
  tcp->seq = (__be32)(more >> 32);
  if (replay->has_cookie)
    put_cookie(tcp, replay, &from, &to);
  return 1;
}

static __always_inline int vary_numbers(void* data, void* end,
                                        const struct trap_replay_order* replay) {
  struct trap_tcp* tcp = data + (replay->l4_offset & 0xff);
  __u64 bits = scatter(replay->number);

  if ((void*)(tcp + 1) > end)
    return 0;
  tcp->seq = (__be32)bits;
  tcp->ack = (__be32)(bits >> 32);
  tcp->checksum = checksum_with(tcp->checksum, (__u64)tcp->seq + tcp->ack);
  return 1;
}

static __always_inline int restore(void* data, void* end, struct trap_replay_order* replay) {
  __u8* at = data;

  for (__u32 i = 0; i < TRAP_REPLAY_FRAME_MAX / 8; i++, at += 8) {
    if (at + 8 > (__u8*)end)
      break;
    *(__u64*)at = replay->words[i];
  }
  for (__u32 i = 0; i < 7; i++) { /* what is left of the last word */
    if (at + 1 > (__u8*)end)
      break;
    *at = ((__u8*)replay->words)[(__u32)(at - (__u8*)data) & (TRAP_REPLAY_FRAME_MAX - 1)];
    at++;
  }
  replay->number++;
  if (replay->vary == TRAP_REPLAY_SOURCES)
    return vary_sources(data, end, replay);
  if (replay->vary == TRAP_REPLAY_MEMBERS)
    return vary_members(data, end, replay);
  if (replay->vary == TRAP_REPLAY_NUMBERS)
    return vary_numbers(data, end, replay);
  if (replay->vary == TRAP_REPLAY_PORTS) {
    struct trap_tcp* tcp = data + (replay->l4_offset & 0xff);

    if ((void*)(tcp + 1) > end)
      return 0;
    tcp->source_port = (__be16)replay->number;
  }
  return 1;
}

SEC("xdp.frags")
int replay_xdp(struct xdp_md* ctx) {
  __u32 zero = 0;
  struct trap_replay_order* replay = bpf_map_lookup_elem(&replays, &zero);
  __u32 bytes = (__u32)(ctx->data_end - ctx->data);

  if (!replay)
    return XDP_ABORTED;
  if (bytes > replay->bytes && bpf_xdp_adjust_head(ctx, (int)(bytes - replay->bytes)))
    return XDP_ABORTED; /* programs that need room take it in front, and give back what they do not
                           need behind */
  if (bytes < replay->bytes && bpf_xdp_adjust_tail(ctx, (int)(replay->bytes - bytes)))
    return XDP_ABORTED;
  if (!restore((void*)(long)ctx->data, (void*)(long)ctx->data_end, replay))
    return XDP_ABORTED;
  bpf_tail_call(ctx, &xdp_target, 0);
  return XDP_ABORTED;
}

SEC("tc")
int replay_tc(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct trap_replay_order* replay = bpf_map_lookup_elem(&replays, &zero);

  if (!replay)
    return TC_ACT_SHOT;
  if (skb->len != replay->bytes && bpf_skb_change_tail(skb, replay->bytes, 0))
    return TC_ACT_SHOT;
  if (bpf_skb_pull_data(skb, replay->bytes))
    return TC_ACT_SHOT;
  if (!restore((void*)(long)skb->data, (void*)(long)skb->data_end, replay))
    return TC_ACT_SHOT;
  bpf_tail_call(skb, &tc_target, 0);
  return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
