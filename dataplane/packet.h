/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packet view: from an Ethernet frame, or an IP packet alone, to addresses, ports and TCP
 * fields, the same code in BPF and on the host. First stop of every packet walk. Reads through
 * (data, end) with a bound check before each access. */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "dataplane/verdict.h"
#include "dataplane/verifier.h"
#include "protocol/address.h"

#define TRAP_VLAN_TAGS_MAX 2
#define TRAP_EXTENSION_HEADERS_MAX 4

#define TRAP_TCP_FIN 0x01
#define TRAP_TCP_ECE 0x40
#define TRAP_TCP_CWR 0x80
#define TRAP_TCP_SYN 0x02
#define TRAP_TCP_RST 0x04
#define TRAP_TCP_PSH 0x08
#define TRAP_TCP_ACK 0x10
#define TRAP_TCP_AE 0x01 /* RFC 9768: accurate ECN, in the byte of the data offset */

/* A TCP header as RFC 9293 3.1 draws it, without bit fields. */
struct trap_tcp {
  __be16 source_port;
  __be16 destination_port;
  __be32 seq;
  __be32 ack;
  __u8 data_offset; /* high nibble, in 32-bit words; the lowest bit is TRAP_TCP_AE */
  __u8 flags;
  __be16 window;
  __be16 checksum;
  __be16 urgent;
};

TRAP_ASSERT(sizeof(struct trap_tcp) == 20, "a TCP header without options is 20 bytes");

enum trap_layer {
  TRAP_LAYER_OTHER,     /* not IP, or not TCP */
  TRAP_LAYER_TCP,       /* every field is valid */
  TRAP_LAYER_DEFECTIVE, /* `defect` says why; addresses are valid if family is, ports if has_ports
                         */
};

struct trap_packet {
  union trap_address source;
  union trap_address destination;
  __be16 source_port;
  __be16 destination_port;
  __be32 seq;
  __be32 ack;
  __be16 window;
  __u16 l3_offset; /* from the start of the frame; 0 without a link-layer header */
  __u16 l4_offset;
  __u32 l3_end;      /* where the IP packet ends, according to its header */
  __u8 header_bytes; /* of TCP: 20 to 60 */
  __u8 flags;
  __u8 family; /* enum trap_family */
  __u8 has_ports;
  enum trap_verdict defect; /* of a server or guard; read only if the layer is DEFECTIVE */
};

/* Initialises all but the addresses, which are written together with the family. Only for programs
 * that give no packet to a global function: the verifier wants such arguments written whole. */
TRAP_INLINE void trap_start_packet(struct trap_packet* packet) {
  packet->source_port = packet->destination_port = 0;
  packet->seq = packet->ack = 0;
  packet->window = 0;
  packet->l3_offset = packet->l4_offset = 0;
  packet->l3_end = 0;
  packet->header_bytes = packet->flags = 0;
  packet->family = TRAP_FAMILY_NONE;
  packet->has_ports = 0;
  packet->defect = TRAP_DROP_INTERNAL; /* until there is one */
}

/* Where the IP and the TCP header start. The masks are above every possible offset. The verifier
 * loses the bounds of an offset that was in memory, and rejects the bound check of a pointer that
 * might be 64 KiB further. */
TRAP_INLINE const void* trap_l3(const struct trap_packet* packet, const void* data) {
  __u64 offset = packet->l3_offset & 0x1f;

  TRAP_HOLD(offset);
  return (const __u8*)data + offset;
}

#define TRAP_L4_OFFSET_MASK 0x3fff

TRAP_INLINE const void* trap_l4(const struct trap_packet* packet, const void* data) {
  __u64 offset = packet->l4_offset & TRAP_L4_OFFSET_MASK;

  TRAP_HOLD(offset);
  return (const __u8*)data + offset;
}

/* TCP payload in bytes, according to the IP header. */
TRAP_INLINE __u32 trap_payload_bytes(const struct trap_packet* packet) {
  return packet->l3_end - (packet->l4_offset + packet->header_bytes);
}

/* Bytes of the frame: according to the IP header if it was read, so that the fragments of a large
 * frame count too. */
TRAP_INLINE __u32 trap_frame_bytes(const struct trap_packet* packet, const void* data,
                                   const void* end) {
  return packet->l3_end ? packet->l3_end : (__u32)((const __u8*)end - (const __u8*)data);
}

/* The group bit of a frame's destination: it reaches many hosts, and each would answer. */
TRAP_INLINE int trap_is_to_group(const void* frame, const void* end) {
  return (const void*)((const __u8*)frame + ETH_ALEN) <= end && *(const __u8*)frame & 1;
}

TRAP_INLINE enum trap_layer trap_defective(struct trap_packet* packet, enum trap_verdict defect) {
  packet->defect = defect;
  return TRAP_LAYER_DEFECTIVE;
}

/* Ports only, of a segment that is dropped if they belong to a service. */
TRAP_INLINE void trap_read_ports(struct trap_packet* packet, const void* l4, const void* end) {
  const struct trap_tcp* tcp = (const struct trap_tcp*)l4;

  if ((const __u8*)l4 + 4 > (const __u8*)end)
    return;
  packet->source_port = tcp->source_port;
  packet->destination_port = tcp->destination_port;
  packet->has_ports = 1;
}

/* The TCP header at l4, whose IP packet has l4_bytes left. */
TRAP_INLINE TRAP_MUST_USE enum trap_layer trap_read_tcp(struct trap_packet* packet, const void* l4,
                                                        const void* end, __u32 l4_bytes) {
  const struct trap_tcp* tcp;

  TRAP_HOLD(l4);
  tcp = (const struct trap_tcp*)l4;
  trap_read_ports(packet, l4, end);
  if ((const __u8*)l4 + sizeof(*tcp) > (const __u8*)end || l4_bytes < sizeof(*tcp))
    return trap_defective(packet, TRAP_DROP_TRUNCATED);
  packet->seq = tcp->seq;
  packet->ack = tcp->ack;
  packet->window = tcp->window;
  packet->flags = tcp->flags;
  packet->header_bytes = (__u8)(tcp->data_offset >> 4 << 2);
  if (packet->header_bytes < sizeof(*tcp) || packet->header_bytes > l4_bytes)
    return trap_defective(packet, TRAP_DROP_BAD_DATA_OFFSET);
  if ((const __u8*)l4 + packet->header_bytes > (const __u8*)end)
    return trap_defective(packet, TRAP_DROP_TRUNCATED);
  return TRAP_LAYER_TCP;
}

TRAP_INLINE TRAP_MUST_USE enum trap_layer trap_read_ipv4(struct trap_packet* packet,
                                                         const void* data, const void* end) {
  const __u8* l3 = (const __u8*)data + packet->l3_offset;
  const struct iphdr* ip = (const struct iphdr*)l3;
  __u32 header_bytes, total_bytes;
  __u16 fragment;

  if (l3 + sizeof(*ip) > (const __u8*)end || ip->protocol != IPPROTO_TCP)
    return TRAP_LAYER_OTHER;
  packet->family = TRAP_IPV4;
  packet->source = trap_address_v4(ip->saddr);
  packet->destination = trap_address_v4(ip->daddr);
  header_bytes = (l3[0] & 0x0f) * 4U;
  total_bytes = TRAP_FROM_BE16(ip->tot_len);
  if (l3[0] >> 4 != 4 || header_bytes < sizeof(*ip) || total_bytes < header_bytes)
    return trap_defective(packet, TRAP_DROP_BAD_IP_HEADER);
  packet->l4_offset = (__u16)(packet->l3_offset + header_bytes);
  packet->l3_end = packet->l3_offset + total_bytes;
  fragment = TRAP_FROM_BE16(ip->frag_off);
  if (fragment & 0x3fff) { /* more fragments, or not the first */
    if ((fragment & 0x1fff) == 0)
      trap_read_ports(packet, l3 + header_bytes, end);
    return trap_defective(packet, TRAP_DROP_FRAGMENT);
  }
  return trap_read_tcp(packet, l3 + header_bytes, end, total_bytes - header_bytes);
}

TRAP_INLINE int trap_is_extension_header(__u32 next) {
  return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
         next == IPPROTO_AH || next == IPPROTO_FRAGMENT;
}

TRAP_INLINE union trap_address trap_address_v6(const void* at) {
  union trap_address address;

  address.raw64[0] = TRAP_LOAD64(at);
  address.raw64[1] = TRAP_LOAD64((const __u8*)at + 8);
  return address;
}

/* RFC 4291 2.5.5.2: ::ffff:0:0/96 never is on a wire. Maps hold IPv4 addresses in this form, so
 * such an IPv6 packet would be taken for one of the IPv4 host that it names. */
TRAP_INLINE int trap_has_mapped_address(const struct trap_packet* packet) {
  return trap_address_is_v4(&packet->source) || trap_address_is_v4(&packet->destination);
}

/* RFC 8200 4: steps over the extension headers of the IPv6 header at l3, up to four. *offset
 * receives where the TCP header begins, seen from l3. A fragment's header ends the walk: with an
 * offset of 0 the ports behind it can be read. */
TRAP_INLINE TRAP_MUST_USE enum trap_layer trap_skip_extension_headers(struct trap_packet* packet,
                                                                      const __u8* l3,
                                                                      const void* end, __u32 next,
                                                                      __u32* offset) {
  __u32 at = sizeof(struct ipv6hdr);

  for (int i = 0; i < TRAP_EXTENSION_HEADERS_MAX && next != IPPROTO_TCP; i++) {
    const __u8* header = l3 + at;

    if (!trap_is_extension_header(next))
      return TRAP_LAYER_OTHER;
    if (header + 8 > (const __u8*)end)
      return trap_defective(packet, TRAP_DROP_TRUNCATED);
    if (next == IPPROTO_FRAGMENT) {
      if (header[0] != IPPROTO_TCP && !trap_is_extension_header(header[0]))
        return TRAP_LAYER_OTHER;
      if (header[0] == IPPROTO_TCP && header[2] == 0 && (header[3] & 0xf8) == 0)
        trap_read_ports(packet, header + 8, end);
      return trap_defective(packet, TRAP_DROP_FRAGMENT);
    }
    at += next == IPPROTO_AH ? (header[1] + 2U) * 4 : (header[1] + 1U) * 8;
    next = header[0];
  }
  if (next != IPPROTO_TCP)
    return trap_is_extension_header(next) ? trap_defective(packet, TRAP_DROP_EXTENSION_HEADERS)
                                          : TRAP_LAYER_OTHER;
  *offset = (__u32)TRAP_FORGET(at, (const __u8*)end - l3) & 0x3fff; /* above every possible one */
  return TRAP_LAYER_TCP;
}

TRAP_INLINE TRAP_MUST_USE enum trap_layer trap_read_ipv6(struct trap_packet* packet,
                                                         const void* data, const void* end) {
  const __u8* l3 = (const __u8*)data + packet->l3_offset;
  const struct ipv6hdr* ip = (const struct ipv6hdr*)l3;
  __u32 next, payload_bytes, offset = sizeof(*ip);
  enum trap_layer layer;

  if (l3 + sizeof(*ip) > (const __u8*)end)
    return TRAP_LAYER_OTHER;
  next = ip->nexthdr;
  if (next != IPPROTO_TCP && !trap_is_extension_header(next))
    return TRAP_LAYER_OTHER;
  packet->family = TRAP_IPV6;
  packet->source = trap_address_v6(&ip->saddr);
  packet->destination = trap_address_v6(&ip->daddr);
  payload_bytes = TRAP_FROM_BE16(ip->payload_len);
  packet->l3_end = packet->l3_offset + (__u32)sizeof(*ip) + payload_bytes;
  if (l3[0] >> 4 != 6)
    return trap_defective(packet, TRAP_DROP_BAD_IP_HEADER);
  if (next != IPPROTO_TCP) {
    layer = trap_skip_extension_headers(packet, l3, end, next, &offset);
    if (layer != TRAP_LAYER_TCP)
      return layer;
  }
  packet->l4_offset = (__u16)(packet->l3_offset + offset);
  if (payload_bytes < offset - sizeof(*ip))
    return trap_defective(packet, TRAP_DROP_BAD_IP_HEADER);
  layer = trap_read_tcp(packet, l3 + offset, end, payload_bytes - (offset - sizeof(*ip)));
  return trap_has_mapped_address(packet) ? trap_defective(packet, TRAP_DROP_MAPPED_ADDRESS) : layer;
}

/* Reads an IP packet without a link-layer header, as on interfaces that are not Ethernet (tun,
 * WireGuard, PPP). *packet must be zeroed, or started with trap_start_packet(). */
TRAP_INLINE TRAP_MUST_USE enum trap_layer trap_read_ip(struct trap_packet* packet, const void* data,
                                                       const void* end) {
  const __u8* l3 = (const __u8*)data;
  __u64 offset = 0;

  if (l3 + 1 > (const __u8*)end)
    return TRAP_LAYER_OTHER;
  TRAP_HOLD(offset);
  packet->l3_offset = (__u16)offset;
  if (l3[0] >> 4 == 4)
    return trap_read_ipv4(packet, data, end);
  if (l3[0] >> 4 == 6)
    return trap_read_ipv6(packet, data, end);
  return TRAP_LAYER_OTHER;
}

TRAP_INLINE int trap_is_vlan_tag(__be16 type) {
  return type == TRAP_BE16(ETH_P_8021Q) || type == TRAP_BE16(ETH_P_8021AD);
}

/* Reads the frame [data, end), Ethernet with up to two VLAN tags (802.1Q, 802.1ad). *packet must be
 * zeroed, or started with trap_start_packet(). A frame that ends before its IP addresses is OTHER:
 * it cannot be matched to a service, and the stack will refuse it. A frame with a third tag is
 * DEFECTIVE: a stack with three VLAN devices takes the tags off and finds a service behind them. */
TRAP_INLINE TRAP_MUST_USE enum trap_layer trap_read_frame(struct trap_packet* packet,
                                                          const void* data, const void* end) {
  const __u8* frame = (const __u8*)data;
  __be16 type;

  if (frame + ETH_HLEN > (const __u8*)end)
    return TRAP_LAYER_OTHER;
  type = *(
      const __be16*)(frame +
                     2 * ETH_ALEN); /* struct ethhdr is packed: clang would read it byte by byte */
  packet->l3_offset = ETH_HLEN;
  for (int i = 0; i < TRAP_VLAN_TAGS_MAX; i++) {
    if (!trap_is_vlan_tag(type))
      break;
    if (frame + ETH_HLEN + 4 * (i + 1) > (const __u8*)end)
      return TRAP_LAYER_OTHER;
    type = *(const __be16*)(frame + ETH_HLEN + 4 * i + 2);
    packet->l3_offset += 4;
  }
  if (packet->l3_offset != ETH_HLEN) /* kernel 6.1 follows all behind tags once, not for each */
    packet->l3_offset = TRAP_FORGET(packet->l3_offset, (const __u8*)end - frame) & 0x1f;
  if (type == TRAP_BE16(ETH_P_IP))
    return trap_read_ipv4(packet, data, end);
  if (type == TRAP_BE16(ETH_P_IPV6))
    return trap_read_ipv6(packet, data, end);
  return trap_is_vlan_tag(type) ? trap_defective(packet, TRAP_DROP_VLAN_TAGS) : TRAP_LAYER_OTHER;
}
