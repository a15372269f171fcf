/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The server's two answers, written over the request: Ethernet and VLAN headers stay, with
 * addresses swapped; the IP header, without options, and the TCP header are new. One answer per
 * packet, sent to the sender of the request. */
#pragma once

#include "dataplane/checksum.h"
#include "dataplane/packet.h"
#include "dataplane/verifier.h"
#include "protocol/wire.h"
#include "server/bpf/maps.bpf.h"

#define TRAP_REPLY_HOPS 64

/* The fields in which answers differ; the rest follows from the request. */
struct reply {
  __be32 seq;
  __be32 ack;
  __be16 window;
  __u8 flags;
  __u8 option_words; /* of 32 bits */
  __u16 bytes_out;   /* of the whole frame, when it is sent */
  __u8 hop_limit;
  __u8 traffic_class;
  union {
    __u8 bytes[TRAP_TCP_OPTIONS_MAX];
    __u32 words[TRAP_TCP_OPTIONS_MAX / 4];
  } options;
};

/* Length of an option in 32-bit words. A constant once the program is loaded. */
static __always_inline __u32 option_words(__u32 body_bytes) {
  __u32 header_bytes = send_experimental ? TRAP_HEADER_BYTES_EXPERIMENTAL : TRAP_HEADER_BYTES;

  return (header_bytes + body_bytes + 3) / 4;
}

static __always_inline __u32 hello_words(void) {
  return option_words(sizeof(struct trap_hello_body));
}

static __always_inline __u32 redirect_words(__u32 family) {
  return option_words(trap_body_bytes(TRAP_REDIRECT, family == TRAP_IPV4 ? 4 : 16));
}

/* Adds a word to the options, if there is room. */
static __always_inline void put_word(struct reply* reply, __u32 word) {
  __u32* words = reply->options.words;
  __u64 at = reply->option_words;

  TRAP_HOLD(words);
  TRAP_HOLD(at);
  if (at >= TRAP_TCP_OPTIONS_MAX / 4)
    return;
  words[at] = word;
  reply->option_words = (__u8)(at + 1);
}

/* Adds OFFER to the options. */
static __always_inline void put_offer(struct reply* reply) {
  union {
    __u8 bytes[8];
    __u32 words[2];
  } offer = {};

  trap_put_header(offer.bytes, TRAP_OFFER, sizeof(struct trap_hello_body), send_experimental);
  put_word(reply, offer.words[0]);
  if (hello_words() > 1)
    put_word(reply, offer.words[1]);
}

static __always_inline void put_redirect(struct reply* reply, const struct trap_backend* backend,
                                         const struct trap_ticket* ticket, __u32 family) {
  struct trap_redirect_body body = {
      .port = backend->port, .lifetime_s = backend->lifetime_s, .ticket = *ticket};
  __u32 address_bytes = family == TRAP_IPV4 ? 4 : 16;
  __u8* at = reply->options.bytes;

  at += trap_put_header(at, TRAP_REDIRECT, sizeof(body) + address_bytes, send_experimental);
  __builtin_memcpy(at, &body, sizeof(body));
  if (family == TRAP_IPV4)
    __builtin_memcpy(at + sizeof(body), &backend->address.be32[3], 4);
  else
    __builtin_memcpy(at + sizeof(body), &backend->address, 16);
  reply->option_words = redirect_words(family);
}

/* By words: struct ethhdr is packed, and clang would copy it byte by byte. */
static __always_inline void swap_ethernet_addresses(void* frame) {
  __u32* words = frame;
  __u16* halves = frame;
  __u32 destination = words[0], source = TRAP_LOAD32(halves + 3);
  __u16 destination_end = halves[2], source_end = halves[5];

  words[0] = source;
  halves[2] = source_end;
  *(__u32*)(halves + 3) = destination;
  halves[5] = destination_end;
}

/* Writes the IP header. Returns the start of TCP's, NULL if the frame ends before it. */
static __always_inline void* write_ipv4(struct iphdr* ip, const void* end,
                                        const struct trap_packet* request, __u32 tcp_bytes,
                                        const struct reply* reply) {
  const __u32 fixed[3] = {
      TRAP_BE32(0x45000000 + ((__u32)reply->traffic_class << 16) + sizeof(*ip) + tcp_bytes),
      TRAP_BE32(0x4000) /* id 0, do not fragment */,
      TRAP_BE32((__u32)reply->hop_limit << 24 | IPPROTO_TCP << 16)};
  __u32* words = (__u32*)ip;
  __be32 source = request->destination.be32[3];
  __be32 destination = request->source.be32[3];
  __u64 sum = (__u64)fixed[0] + fixed[1] + fixed[2] + source + destination;

  if ((const void*)(ip + 1) > end)
    return NULL;
  words[0] = fixed[0];
  words[1] = fixed[1];
  words[2] = fixed[2];
  ip->check = trap_sum_fold(sum);
  ip->saddr = source;
  ip->daddr = destination;
  return ip + 1;
}

static __always_inline void* write_ipv6(struct ipv6hdr* ip, const void* end,
                                        const struct trap_packet* request, __u32 tcp_bytes,
                                        const struct reply* reply) {
  if ((const void*)(ip + 1) > end)
    return NULL;
  *(__u32*)ip = TRAP_BE32(0x60000000 + ((__u32)reply->traffic_class << 20));
  ip->payload_len = TRAP_BE16(tcp_bytes);
  ip->nexthdr = IPPROTO_TCP;
  ip->hop_limit = reply->hop_limit;
  TRAP_STORE64(&ip->saddr, request->destination.raw64[0]);
  TRAP_STORE64((__u8*)&ip->saddr + 8, request->destination.raw64[1]);
  TRAP_STORE64(&ip->daddr, request->source.raw64[0]);
  TRAP_STORE64((__u8*)&ip->daddr + 8, request->source.raw64[1]);
  return ip + 1;
}

/* 0 on success: the frame has room for the header and its options. */
static __always_inline int write_tcp(struct trap_tcp* tcp, const void* end,
                                     const struct trap_packet* request, const struct reply* reply) {
  __u32 bytes = sizeof(*tcp) + 4 * reply->option_words;
  __u32 ports = (__u32)request->destination_port | (__u32)request->source_port << 16;
  __u32 flags = TRAP_BE32(bytes / 4 << 28 | (__u32)reply->flags << 16) | (__u32)reply->window << 16;
  __u32* words = (__u32*)tcp;
  __u32* option = (__u32*)(tcp + 1);
  __u64 sum = trap_sum_pseudo(&request->source, &request->destination, request->family, bytes);

  if ((const void*)(tcp + 1) > end)
    return -1;
  sum += (__u64)ports + reply->seq + reply->ack + flags;
  words[0] = ports;
  words[1] = reply->seq;
  words[2] = reply->ack;
  words[3] = flags;
  for (__u32 i = 0; i < TRAP_TCP_OPTIONS_MAX / 4 && i < reply->option_words; i++) {
    TRAP_HOLD(option);
    if ((const void*)(option + 1) > end)
      return -1;
    *option++ = reply->options.words[i];
    sum += reply->options.words[i];
  }
  words[4] = trap_sum_fold(sum); /* checksum, and no urgent pointer */
  return 0;
}

#define TRAP_L2_ROOM 24 /* the link-layer header in words; what is behind it is written afresh */
#define TRAP_GROWTH_MAX 64

TRAP_ASSERT(ETH_HLEN + 4 * TRAP_VLAN_TAGS_MAX <= TRAP_L2_ROOM, "moved in three words");

/* Makes the frame `more` (1 to 64) bytes longer in front, where every driver leaves room, and moves
 * the link-layer header there. At its tail an ACK that the stack sent through a veth has no room.
 * 0 on success. */
TRAP_GLOBAL_FUNCTION int grow_in_front(struct xdp_md* ctx, __u64 more) {
  __u8 *data, *end, *old;
  __u64 first, second, third;

  if (more > TRAP_GROWTH_MAX || bpf_xdp_adjust_head(ctx, -(int)more))
    return -1;
  data = (__u8*)(long)ctx->data;
  end = (__u8*)(long)ctx->data_end;
  old = data + more;
  TRAP_HOLD(old);
  if (old + TRAP_L2_ROOM > end || data + TRAP_L2_ROOM > end)
    return -1;
  first = TRAP_LOAD64(old);
  second = TRAP_LOAD64(old + 8);
  third = TRAP_LOAD64(old + 16);
  TRAP_STORE64(data, first);
  TRAP_STORE64(data + 8, second);
  TRAP_STORE64(data + 16, third);
  return 0;
}

/* Length of the frame that answers. */
static __always_inline __u64 reply_bytes(const struct trap_packet* request,
                                         const struct reply* reply) {
  __u32 ip_bytes = request->family == TRAP_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

  return request->l3_offset + ip_bytes + sizeof(struct trap_tcp) + 4 * (__u32)reply->option_words;
}

/* Gives the frame of the request the length of the reply. 0 on success. */
static __always_inline int resize_frame(struct xdp_md* ctx, const struct trap_packet* request,
                                        struct reply* reply) {
  __u64 bytes = reply_bytes(request, reply);
  __u64 request_bytes = (__u8*)(long)ctx->data_end - (__u8*)(long)ctx->data;

  TRAP_HOLD(request_bytes);
  reply->bytes_out = (__u16)bytes;
  if (bytes > request_bytes)
    return grow_in_front(ctx, bytes - request_bytes);
  return bytes < request_bytes ? (int)bpf_xdp_adjust_tail(ctx, -(int)(request_bytes - bytes)) : 0;
}

/* Writes the reply over the request in a frame that has its length. 0 on success. */
static __always_inline int write_reply(struct xdp_md* ctx, const struct trap_packet* request,
                                       const struct reply* reply) {
  __u8* data = (__u8*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  __u32 tcp_bytes;
  void *l3, *tcp;

  if (!request || !reply)
    return -1;
  tcp_bytes = sizeof(struct trap_tcp) + 4 * (__u32)reply->option_words;
  if ((const void*)(data + sizeof(struct ethhdr)) > end)
    return -1;
  swap_ethernet_addresses(data);
  l3 = (void*)trap_l3(request, data);
  tcp = request->family == TRAP_IPV4 ? write_ipv4(l3, end, request, tcp_bytes, reply)
                                     : write_ipv6(l3, end, request, tcp_bytes, reply);
  return tcp ? write_tcp(tcp, end, request, reply) : -1;
}

/* Of the frame at XDP. 0 on success. */
static __always_inline int turn_into_reply(struct xdp_md* ctx, const struct trap_packet* request,
                                           struct reply* reply) {
  return resize_frame(ctx, request, reply) || write_reply(ctx, request, reply);
}
