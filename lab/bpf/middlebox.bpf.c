/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A middlebox that means well or works badly: strips and drops options and resets, rewrites
 * sequence numbers, loses, doubles and swaps packets. At tc egress of the router's interfaces;
 * looks at TCP between the client and everybody else, over Ethernet and plain IP. */
#include "lab/bpf/middlebox.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SEEN 0x6c6162 /* mark of packets that were handled already */
#define OPTIONS_MAX 40
#define FRAME_MAX 1514

struct segment {
  __be16 source_port;
  __be16 destination_port;
  __be32 seq;
  __be32 ack;
  __u8 data_offset;
  __u8 flags;
  __be16 window;
  __be16 checksum;
  __be16 urgent;
};

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
enum direction { FROM_CLIENT, TO_CLIENT };

struct sight {
  struct segment tcp;
  __be32 remote[LAB_ADDRESS_WORDS]; /* the end that is not the client */
  __u32 l4;
  __u32 direction;
  int is_public;
};

struct options {
  __u8 bytes[OPTIONS_MAX + 8];
  __u32 used;
  volatile __u32
      cursor; /* in memory, so that each step of the walk looks the same to the verifier */
  volatile __u32 found; /* the offset of a TRAP option, or OPTIONS_MAX */
};

struct held {
  __u32 bytes;
  __u8 frame[FRAME_MAX];
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct lab_mischief);
} mischiefs SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, LAB_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} lab_counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} passed SEC(".maps"); /* packets by direction */

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct held);
} kept SEC(".maps");

static __always_inline void note(__u32 counter) {
  __u64* count = bpf_map_lookup_elem(&lab_counters, &counter);

  if (count)
    __sync_fetch_and_add(count, 1);
}

static __always_inline __u64 next_number(__u32 direction) {
  __u64* count = bpf_map_lookup_elem(&passed, &direction);

  return count ? __sync_fetch_and_add(count, 1) : 0;
}

static __always_inline int same(const __be32* a, const __be32* b) {
  return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* 0 if it is none of the client's TCP segments. */
static __always_inline int look(struct __sk_buff* skb, const struct lab_mischief* mischief,
                                struct sight* sight) {
  __be32 ends[2 * LAB_ADDRESS_WORDS] = {};
  int from_client, to_client;
  __u8 protocol;

  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, protocol), &protocol, 1) ||
        protocol != IPPROTO_TCP ||
        bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, saddr), &ends[0], 4) ||
        bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, daddr), &ends[LAB_ADDRESS_WORDS],
                           4))
      return 0;
    sight->l4 = ETH_HLEN + sizeof(struct iphdr);
    from_client = ends[0] == mischief->client_v4;
    to_client = ends[LAB_ADDRESS_WORDS] == mischief->client_v4;
    sight->is_public =
        ends[0] == mischief->public_v4 || ends[LAB_ADDRESS_WORDS] == mischief->public_v4;
  } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &protocol, 1) ||
        protocol != IPPROTO_TCP ||
        bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, saddr), ends, sizeof(ends)))
      return 0;
    sight->l4 = ETH_HLEN + sizeof(struct ipv6hdr);
    from_client = same(ends, mischief->client_v6);
    to_client = same(ends + LAB_ADDRESS_WORDS, mischief->client_v6);
    sight->is_public =
        same(ends, mischief->public_v6) || same(ends + LAB_ADDRESS_WORDS, mischief->public_v6);
  } else {
    return 0;
  }
  sight->direction = from_client ? FROM_CLIENT : TO_CLIENT;
  __builtin_memcpy(sight->remote, from_client ? ends + LAB_ADDRESS_WORDS : ends,
                   sizeof(sight->remote));
  return from_client != to_client &&
         !bpf_skb_load_bytes(skb, sight->l4, &sight->tcp, sizeof(sight->tcp));
}

__attribute__((noinline)) __u32 find_trap_option(struct options* options) {
  if (!options)
    return OPTIONS_MAX;
  options->cursor = 0;
  options->found = OPTIONS_MAX;
  for (int i = 0; i < OPTIONS_MAX; i++) {
    __u32 at = options->cursor;
    const __u8* option;

    if (at >= OPTIONS_MAX || at >= options->used)
      break;
    option = options->bytes + at;
    if (option[0] == 0x56 || (option[0] == 253 && option[2] == 0x54 && option[3] == 0x52)) {
      options->found = at;
      break;
    }
    if (option[0] == 0 || (option[0] != 1 && option[1] < 2))
      break;
    options->cursor = at + (option[0] == 1 ? 1 : option[1]);
  }
  return options->found;
}

/* The segment's options, and where TRAP's is among them: OPTIONS_MAX if nowhere. */
static __always_inline __u32 read_options(struct __sk_buff* skb, const struct sight* sight,
                                          struct options* options) {
  __u32 bytes = (sight->tcp.data_offset >> 4) * 4 - sizeof(struct segment);

  options->used = bytes;
  for (__u32 at = 0; at < OPTIONS_MAX && at < bytes; at += 4)
    if (bpf_skb_load_bytes(skb, sight->l4 + sizeof(struct segment) + at, options->bytes + at, 4))
      break;
  return find_trap_option(options);
}

static __always_inline void strip(struct __sk_buff* skb, const struct sight* sight) {
  struct options before = {}, after;
  __u32 found = read_options(skb, sight, &before), end;
  __s64 difference;

  if (found >= OPTIONS_MAX)
    return;
  after = before;
  end = found + before.bytes[(found + 1) & 0x1f];
  for (__u32 at = 0; at < OPTIONS_MAX; at++)
    if (at >= found && at < end)
      after.bytes[at] = 1;
  difference =
      bpf_csum_diff((__be32*)before.bytes, OPTIONS_MAX, (__be32*)after.bytes, OPTIONS_MAX, 0);
  bpf_l4_csum_replace(skb, sight->l4 + offsetof(struct segment, checksum), 0, difference, 0);
  for (__u32 at = 0; at < OPTIONS_MAX && at < before.used; at += 4)
    bpf_skb_store_bytes(skb, sight->l4 + sizeof(struct segment) + at, after.bytes + at, 4, 0);
  note(LAB_STRIPPED);
}

static __always_inline int is_to_be_stripped(const struct lab_mischief* mischief, __u8 flags) {
  if (flags & RST)
    return mischief->flags & LAB_STRIPS_RST;
  if (flags & SYN)
    return mischief->flags & (flags & ACK ? LAB_STRIPS_SYN_ACK : LAB_STRIPS_SYN);
  return 0;
}

static __always_inline int is_to_be_dropped(struct __sk_buff* skb,
                                            const struct lab_mischief* mischief,
                                            const struct sight* sight) {
  __u8 flags = sight->tcp.flags;

  if (mischief->flags & LAB_CUTS_OFF && !sight->is_public)
    return 1;
  if (mischief->flags & LAB_DROPS_RST && flags & RST && sight->direction == TO_CLIENT)
    return 1;
  if (mischief->flags & LAB_DROPS_SYN_OPTIONS && flags & SYN && !(flags & ACK)) {
    struct options options = {};

    return read_options(skb, sight, &options) < OPTIONS_MAX;
  }
  return 0;
}

static __always_inline void replace_number(struct __sk_buff* skb, const struct sight* sight,
                                           __u32 offset, __be32 from, __u32 add) {
  __be32 to = bpf_htonl(bpf_ntohl(from) + add);

  bpf_l4_csum_replace(skb, sight->l4 + offsetof(struct segment, checksum), from, to, 4);
  bpf_skb_store_bytes(skb, sight->l4 + offset, &to, 4, 0);
}

/* Each side's numbers are shifted on the way there, and what the other acknowledges is shifted
 * back. */
static __always_inline void rewrite_numbers(struct __sk_buff* skb, const struct sight* sight) {
  int out = sight->direction == FROM_CLIENT;
  __u32 source = sight->tcp.source_port, destination = sight->tcp.destination_port;
  __u32 shift_of_client, shift_of_remote;

  /* Both are read, or clang 19 chooses one by `|` on the address of the first: "R2 bitwise operator
   * |= on pointer prohibited". */
  asm volatile("" : "+r"(source), "+r"(destination));
  shift_of_client =
      ((out ? source : destination) ^ sight->remote[0] ^ sight->remote[1]) * 0x9e3779b1;
  shift_of_remote = shift_of_client * 0x85ebca6b + 1;

  replace_number(skb, sight, offsetof(struct segment, seq), sight->tcp.seq,
                 out ? shift_of_client : shift_of_remote);
  if (sight->tcp.flags & ACK)
    replace_number(skb, sight, offsetof(struct segment, ack), sight->tcp.ack,
                   out ? -shift_of_remote : -shift_of_client);
  note(LAB_REWRITTEN);
}

/* 0 if the frame is too long to keep. */
static __always_inline int keep(struct __sk_buff* skb, struct held* held) {
  __u64 bytes = skb->len;

  asm volatile("" : "+r"(bytes));
  if (bytes < ETH_HLEN || bytes > FRAME_MAX || bpf_skb_load_bytes(skb, 0, held->frame, bytes))
    return 0;
  held->bytes = bytes;
  return 1;
}

/* Sends the frame at hand and then the one that was kept, in its place. */
static __always_inline int release(struct __sk_buff* skb, struct held* held) {
  __u64 bytes = held->bytes;

  held->bytes = 0;
  bpf_clone_redirect(skb, skb->ifindex, 0);
  asm volatile("" : "+r"(bytes));
  if (bytes < ETH_HLEN || bytes > FRAME_MAX || bpf_skb_change_tail(skb, bytes, 0) ||
      bpf_skb_store_bytes(skb, 0, held->frame, bytes, 0))
    return TC_ACT_SHOT;
  note(LAB_REORDERED);
  return TC_ACT_OK;
}

static __always_inline int reorder(struct __sk_buff* skb, __u32 direction, __u64 number) {
  struct held* held = bpf_map_lookup_elem(&kept, &direction);

  if (!held)
    return TC_ACT_OK;
  if (held->bytes)
    return release(skb, held);
  return number % 3 == 0 && keep(skb, held) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* A number below 100 for each packet: the same in each run, and with no pattern that the steps of a
 * handshake could fall in with. (MurmurHash3's finalizer, https://github.com/aappleby/smhasher.) */
static __always_inline __u32 dice(__u64 number, __u32 direction) {
  __u32 mixed = (__u32)number * 2 + direction;

  mixed = (mixed ^ mixed >> 16) * 0x85ebca6b;
  mixed = (mixed ^ mixed >> 13) * 0xc2b2ae35;
  return (mixed ^ mixed >> 16) % 100;
}

static __always_inline int carry(struct __sk_buff* skb, const struct lab_mischief* mischief,
                                 const struct sight* sight) {
  __u64 number = next_number(sight->direction);

  if (dice(number, sight->direction) < mischief->loss_percent) {
    note(LAB_LOST);
    return TC_ACT_SHOT;
  }
  skb->mark = SEEN;
  if (mischief->flags & LAB_DUPLICATES) {
    bpf_clone_redirect(skb, skb->ifindex, 0);
    note(LAB_DUPLICATED);
  }
  return mischief->flags & LAB_REORDERS ? reorder(skb, sight->direction, number) : TC_ACT_OK;
}

SEC("tc")
int lab_middlebox(struct __sk_buff* skb) {
  __u32 zero = 0;
  const struct lab_mischief* mischief = bpf_map_lookup_elem(&mischiefs, &zero);
  struct sight sight = {};

  if (!mischief || skb->mark == SEEN || !look(skb, mischief, &sight))
    return TC_ACT_OK;
  if (sight.direction == FROM_CLIENT && (sight.tcp.flags & (SYN | ACK)) == SYN)
    note(LAB_SYNS);
  if (is_to_be_dropped(skb, mischief, &sight)) {
    note(LAB_DROPPED);
    return TC_ACT_SHOT;
  }
  if (is_to_be_stripped(mischief, sight.tcp.flags))
    strip(skb, &sight);
  if (mischief->flags & LAB_REWRITES_ISN)
    rewrite_numbers(skb, &sight);
  return carry(skb, mischief, &sight);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
