/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sees the packets of one TCP port where a packet socket would: what comes in before tc and the
 * stack, what goes out behind them (docs/adr/0047). Loaded by runtime/kernel/wire_watch.h, and
 * attached only while something is watched. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "dataplane/packet.h"
#include "dataplane/sighting.h"

/* The kernel's own fields; its BTF says where they are. */
struct net {
  __u64 net_cookie;
} __attribute__((preserve_access_index));

struct net_device {
  struct {
    struct net* net;
  } nd_net;
} __attribute__((preserve_access_index));

struct sk_buff {
  struct net_device* dev;
  __u32 len;
  __u32 data_len;
  __be16 protocol;
  __u16 network_header;
  unsigned char* head;
  unsigned char* data;
} __attribute__((preserve_access_index));

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 16); /* two hundred packets */
} sightings SEC(".maps");

struct trap_watch_order order;

#define VLAN_TAG_BYTES 4
#define VLAN_TAGS_MOST 2
#define FRAGMENT_OFFSET_MASK 0x1fff
#define IPV4_WORD_BYTES 4

struct ports {
  __be16 source, destination;
};

static __always_inline int is_vlan(__be16 protocol) {
  return protocol == TRAP_BE16(ETH_P_8021Q) || protocol == TRAP_BE16(ETH_P_8021AD);
}

static __always_inline int are_watched(const unsigned char* at) {
  struct ports ports;
  __be16 wanted = TRAP_BE16((__u16)order.port);

  return bpf_probe_read_kernel(&ports, sizeof(ports), at) == 0 &&
         (ports.source == wanted || ports.destination == wanted);
}

/* A TCP segment of the port, by the first fragment's headers; in IPv6 without extension headers, as
 * TRAP and Linux send it. */
static __always_inline int is_watched(const unsigned char* packet, __be16 protocol) {
  struct iphdr ipv4;
  struct ipv6hdr ipv6;

  if (protocol == TRAP_BE16(ETH_P_IP) && order.version == 4)
    return bpf_probe_read_kernel(&ipv4, sizeof(ipv4), packet) == 0 &&
           ipv4.protocol == IPPROTO_TCP && !(ipv4.frag_off & TRAP_BE16(FRAGMENT_OFFSET_MASK)) &&
           are_watched(packet + ipv4.ihl * IPV4_WORD_BYTES);
  if (protocol == TRAP_BE16(ETH_P_IPV6) && order.version == 6)
    return bpf_probe_read_kernel(&ipv6, sizeof(ipv6), packet) == 0 && ipv6.nexthdr == IPPROTO_TCP &&
           are_watched(packet + sizeof(ipv6));
  return 0;
}

/* `packet` begins with the IP header and lies in front of `end`. */
static __always_inline void note(const unsigned char* packet, const unsigned char* end,
                                 __u32 leaves) {
  __s64 there = end - packet;
  struct trap_sighting* sighting;
  __u32 bytes = TRAP_SIGHTING_BYTES;

  if (there <= 0)
    return;
  if (there < TRAP_SIGHTING_BYTES)
    bytes = (__u32)there & (TRAP_SIGHTING_BYTES - 1);
  sighting = bpf_ringbuf_reserve(&sightings, sizeof(*sighting), 0);
  if (!sighting)
    return;
  sighting->monotonic_ns = bpf_ktime_get_ns();
  sighting->leaves = leaves;
  sighting->seen_bytes = bytes;
  if (bpf_probe_read_kernel(sighting->bytes, bytes, packet) == 0)
    bpf_ringbuf_submit(sighting, 0);
  else
    bpf_ringbuf_discard(sighting, 0);
}

static __always_inline int is_here(const struct sk_buff* skb) {
  return skb->dev->nd_net.net->net_cookie == order.network;
}

/* Frames lie in one piece up to here. */
static __always_inline const unsigned char* end_of(const struct sk_buff* skb) {
  return skb->data + (skb->len - skb->data_len);
}

SEC("tp_btf/netif_receive_skb")
int trap_watch_in(__u64* arguments) {
  const struct sk_buff* skb = (const void*)arguments[0];
  const unsigned char* packet = skb->data;
  __be16 protocol = skb->protocol;

  if (!is_here(skb))
    return 0;
  /* a tag that the card did not take off; it comes off after this point */
  for (int i = 0; i < VLAN_TAGS_MOST && is_vlan(protocol); i++) {
    if (bpf_probe_read_kernel(&protocol, sizeof(protocol), packet + sizeof(__be16)) != 0)
      return 0;
    packet += VLAN_TAG_BYTES;
  }
  if (is_watched(packet, protocol))
    note(packet, end_of(skb), 0);
  return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int trap_watch_out(__u64* arguments) {
  const struct sk_buff* skb = (const void*)arguments[0];
  const unsigned char* packet = skb->head + skb->network_header;

  if (is_here(skb) && is_watched(packet, skb->protocol))
    note(packet, end_of(skb), 1);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
