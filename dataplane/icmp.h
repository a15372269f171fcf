/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP as guard and client read it: what a message is, and the packet that an error quotes. */
#pragma once

#include "dataplane/packet.h"

#define TRAP_ICMP_HEADER_BYTES 8

enum trap_icmp_kind {
  TRAP_ICMP_NONE, /* not ICMP */
  TRAP_ICMP_ERROR,
  TRAP_ICMP_QUERY,
  TRAP_ICMP_NEIGHBOUR, /* IPv6 hosts on one link cannot do without it */
};

/* Types of RFC 792. A host should not act upon source quench and redirects: they count as queries.
 */
TRAP_INLINE enum trap_icmp_kind trap_icmpv4_kind(__u8 type) {
  return type == 3 || type == 11 || type == 12 ? TRAP_ICMP_ERROR : TRAP_ICMP_QUERY;
}

/* RFC 4443: below 128 errors. RFC 4861: 133 to 137. RFC 2710 and 3810: 130 to 132 and 143. */
TRAP_INLINE enum trap_icmp_kind trap_icmpv6_kind(__u8 type) {
  if (type < 128)
    return TRAP_ICMP_ERROR;
  return (type >= 130 && type <= 137) || type == 143 ? TRAP_ICMP_NEIGHBOUR : TRAP_ICMP_QUERY;
}

/* The family of an IP packet by the Ethernet type before it and by its first byte; 0 if it is no
 * IP, or the two differ: no stack reads such a packet. */
TRAP_INLINE __u32 trap_ip_family(__be16 ethernet_type, __u8 first_byte) {
  if (ethernet_type == TRAP_BE16(ETH_P_IP) && first_byte >> 4 == 4)
    return TRAP_IPV4;
  return ethernet_type == TRAP_BE16(ETH_P_IPV6) && first_byte >> 4 == 6 ? TRAP_IPV6 : 0;
}

/* RFC 8200 4: from an IPv6 header at l3 over up to four extension headers to one of `wanted`; its
 * distance from l3. 0 if there is none, or if it is in an earlier fragment than this. */
TRAP_INLINE __u64 trap_find_behind(const __u8* l3, const void* end, __u8 wanted) {
  __u64 offset = sizeof(struct ipv6hdr);
  __u8 next;

  if ((const void*)(l3 + sizeof(struct ipv6hdr)) > end)
    return 0;
  next = ((const struct ipv6hdr*)l3)->nexthdr;
  for (int i = 0; i < TRAP_EXTENSION_HEADERS_MAX && next != wanted; i++) {
    const __u8* header = l3 + offset;

    if (!trap_is_extension_header(next) || (const void*)(header + 8) > end)
      return 0;
    if (next == IPPROTO_FRAGMENT && (header[2] || header[3] & 0xf8))
      return 0;
    offset += next == IPPROTO_FRAGMENT ? 8
              : next == IPPROTO_AH     ? (header[1] + 2ULL) * 4
                                       : (header[1] + 1ULL) * 8;
    TRAP_HOLD(offset);
    next = header[0];
  }
  return next == wanted ? offset : 0;
}

/* The bits that a distance of trap_find_behind() can have: 40 bytes, and four headers of 2,048. */
#define TRAP_BEHIND_MASK 0x3fffu

/* Where the ICMP message starts behind the IP header at l3, NULL if it is none. IPv6: `behind` is
 * what trap_find_behind() says of an ICMPv6 header. */
TRAP_INLINE const __u8* trap_find_icmp(const __u8* l3, const void* end, __u32 family,
                                       __u64 behind) {
  __u64 offset;

  if (family == TRAP_IPV4) {
    if ((const void*)(l3 + sizeof(struct iphdr)) > end ||
        ((const struct iphdr*)l3)->protocol != IPPROTO_ICMP)
      return (const __u8*)0;
    if (((const struct iphdr*)l3)->frag_off & TRAP_BE16(0x1fff))
      return (const __u8*)0;
    offset = (l3[0] & 0x0f) * 4;
    if (offset < sizeof(struct iphdr))
      return (const __u8*)0;
    TRAP_HOLD(offset);
    return l3 + offset;
  }
  return behind ? l3 + behind : (const __u8*)0;
}

/* Whether the packet at l3, which trap_find_icmp() has read, is the first of several fragments: its
 * message goes on in others. IPv6: `behind` is what trap_find_behind() says of a fragment header.
 */
TRAP_INLINE int trap_is_first_of_fragments(const __u8* l3, const void* end, __u32 family,
                                           __u64 behind) {
  const __u8* header;

  if (family == TRAP_IPV4)
    return (const void*)(l3 + sizeof(struct iphdr)) <= end &&
           (((const struct iphdr*)l3)->frag_off & TRAP_BE16(0x2000)) != 0;
  header = l3 + behind;
  TRAP_HOLD(header);
  return behind && (const void*)(header + 8) <= end && (header[3] & 1) != 0;
}

/* Whether the IPv6 header at l3 is whole and has an IPv4-mapped address, as in
 * trap_has_mapped_address(). */
TRAP_INLINE int trap_header_has_mapped_address(const __u8* l3, const void* end) {
  const struct ipv6hdr* ip = (const struct ipv6hdr*)l3;
  union trap_address source, destination;

  if ((const void*)(ip + 1) > end)
    return 0;
  source = trap_address_v6(&ip->saddr);
  destination = trap_address_v6(&ip->daddr);
  return trap_address_is_v4(&source) || trap_address_is_v4(&destination);
}

/* Reads the packet that an error quotes as if it had come from its addressee: *packet gets the two
 * ends of the flow as arriving segments have them; l4_offset counts from the quoted IP header. 0 if
 * the packet is not TCP, is not quoted far enough, is a later fragment, which has no ports, has a
 * header that cannot be, or an IPv4-mapped address. IPv6: `behind` is what trap_find_behind() says
 * of a TCP header. */
TRAP_INLINE int trap_read_quoted(struct trap_packet* packet, const __u8* l3, const void* end,
                                 __u32 family, __u64 behind) {
  const struct trap_tcp* tcp;
  __u64 offset;

  if (family == TRAP_IPV4) {
    const struct iphdr* ip = (const struct iphdr*)l3;

    if ((const void*)(ip + 1) > end || ip->protocol != IPPROTO_TCP || l3[0] >> 4 != 4 ||
        (l3[0] & 0x0f) < 5 || ip->frag_off & TRAP_BE16(0x1fff))
      return 0;
    packet->source = trap_address_v4(ip->daddr);
    packet->destination = trap_address_v4(ip->saddr);
    offset = (l3[0] & 0x0f) * 4;
    TRAP_HOLD(offset);
  } else {
    const struct ipv6hdr* ip = (const struct ipv6hdr*)l3;

    offset = behind;
    if (!offset || (const void*)(ip + 1) > end || l3[0] >> 4 != 6)
      return 0;
    __builtin_memcpy(&packet->source, &ip->daddr, 16);
    __builtin_memcpy(&packet->destination, &ip->saddr, 16);
    if (trap_has_mapped_address(packet))
      return 0;
  }
  tcp = (const struct trap_tcp*)(l3 + offset);
  if ((const __u8*)tcp + 4 > (const __u8*)end)
    return 0;
  packet->family = (__u8)family;
  packet->l4_offset = (__u16)offset;
  packet->source_port = tcp->destination_port;
  packet->destination_port = tcp->source_port;
  return 1;
}
