/* SPDX-License-Identifier: Apache-2.0 */
/* Proves the ICMP reader: the message behind an IP header, and the packet that an error quotes,
 * over every packet of up to TRAP_PROVE_BYTES bytes. */
#include "tests/prove/any.h"

#include "dataplane/icmp.h"

static void prove_for(const __u8* l3, __u32 family) {
  struct trap_packet packet;
  const __u8* quoted;
  const __u8* icmp = trap_find_icmp(l3, end_of_frame(), family,
                                    trap_find_behind(l3, end_of_frame(), IPPROTO_ICMPV6));

  if (!icmp || icmp + TRAP_ICMP_HEADER_BYTES > end_of_frame())
    return;
  trap_icmpv4_kind(icmp[0]);
  trap_icmpv6_kind(icmp[0]);
  trap_start_packet(&packet);
  quoted = icmp + TRAP_ICMP_HEADER_BYTES;
  trap_read_quoted(&packet, quoted, end_of_frame(), family,
                   trap_find_behind(quoted, end_of_frame(), IPPROTO_TCP));
}

void prove(void) {
  const __u8* l3 = any_frame();

  prove_for(l3, TRAP_IPV4);
  prove_for(l3, TRAP_IPV6);
}
