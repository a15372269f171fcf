/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Floods of live frames. `generate` runs on BPF_PROG_TEST_RUN's, whose pages come back as the
 * responder left them. So it writes every byte anew, with another source, source port, sequence
 * number and timestamp each time, or with those of `credentials`. `sink` and `gate` end answers.
 * Each runs on one CPU, so plain variables do. */
#include "lab/bpf/flood.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/checksum.h"
#include "dataplane/packet.h"

struct trap_flood_order order;
struct trap_flood_pace pace;
struct trap_flood_seen seen;
struct trap_flood_credential credentials[TRAP_FLOOD_CREDENTIALS];

/* The finalizer of SplitMix64. */
static __always_inline __u64 scatter(__u64 x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

/* The checksum field for data in which words with this sum replace zeros. */
static __always_inline __be16 checksum_with(__be16 before, __u64 added) {
  return trap_sum_fold((__u64)(__u16)~before + added);
}

static __always_inline int restore(void* data, void* end) {
  __u8* at = data;

  for (__u32 i = 0; i < TRAP_FLOOD_FRAME_MAX / 8; i++, at += 8) {
    if (at + 8 > (__u8*)end)
      break;
    *(__u64*)at = order.words[i];
  }
  for (__u32 i = 0; i < 3; i++, at += 2) { /* what is left of the last word */
    if (at + 2 > (__u8*)end)
      break;
    *(__u16*)at =
        ((__u16*)order.words)[(__u32)(at - (__u8*)data) / 2 & (TRAP_FLOOD_FRAME_MAX / 2 - 1)];
  }
  return 1;
}

struct varied {
  __be32 source; /* as trap_flood_seq takes it */
  __u64 address_sum;
  __u64 bits;
  const struct trap_flood_credential* credential; /* or 0 */
};

static __always_inline __u64 put_ticket(struct trap_tcp* tcp, void* end,
                                        const struct trap_flood_credential* credential) {
  __u8* at = (void*)tcp + TRAP_FLOOD_TICKET_AT;

  if (at + sizeof(credential->ticket) > (__u8*)end)
    return 0;
  __builtin_memcpy(at, credential->ticket, sizeof(credential->ticket));
  return trap_sum64(*(__u64*)at) + *(__u32*)(at + 8);
}

static __always_inline int vary_tcp(struct trap_tcp* tcp, void* end, const struct varied* varied) {
  const struct trap_flood_credential* credential = varied->credential;
  __be16 port = (__be16)(varied->bits >> 48) | 4; /* 1024 and above: the high byte comes first */
  __u64 sum;

  if ((void*)(tcp + 1) > end)
    return 0;
  tcp->source_port = credential && !order.has_ticket ? credential->port : port;
  tcp->seq =
      credential && !order.has_ticket ? credential->seq : trap_flood_seq(varied->source, port);
  sum = varied->address_sum + tcp->source_port + (__u64)tcp->seq;
  if (tcp->flags & 0x10) {
    tcp->ack = credential ? credential->ack : (__be32)varied->bits;
    sum += tcp->ack;
  }
  if (order.has_timestamp) {
    __be32* timestamp = (void*)tcp + 28;

    if ((void*)(timestamp + 1) > end)
      return 0;
    *timestamp = (__be32)(varied->bits >> 8);
    sum += *timestamp;
  }
  if (credential && order.has_ticket)
    sum += put_ticket(tcp, end, credential);
  tcp->checksum = checksum_with(tcp->checksum, sum);
  return 1;
}

/* Sources that no stack refuses: 1.0.0.0 to 126.255.255.255, 2001::/16. */
static __always_inline int vary(void* data, void* end) {
  __u64 bits = scatter(++order.number);
  void* l3 = data + sizeof(struct ethhdr);
  struct varied varied = {
      .credential =
          order.has_credentials ? &credentials[order.number & (TRAP_FLOOD_CREDENTIALS - 1)] : 0};

  if (order.family == TRAP_IPV4) {
    struct iphdr* ip = l3;

    if ((void*)(ip + 1) > end)
      return 0;
    ip->saddr = varied.credential
                    ? (__be32)(varied.credential->source[1] >> 32)
                    : (__be32)((bits & 0xffffff00) | (((bits & 0xff) * 126 >> 8) + 1));
    ip->check = checksum_with(ip->check, ip->saddr);
    varied.source = ip->saddr;
    varied.address_sum = ip->saddr;
    varied.bits = scatter(bits);
    return vary_tcp((void*)(ip + 1), end, &varied);
  }
  struct ipv6hdr* ip = l3;
  __u64 half = varied.credential ? varied.credential->source[0] : (bits & ~0xffffULL) | 0x0120;
  __u64 more = varied.credential ? varied.credential->source[1] : scatter(bits);

  if ((void*)(ip + 1) > end)
    return 0;
  __builtin_memcpy(l3 + 8, &half, 8);
  __builtin_memcpy(l3 + 16, &more, 8);
  varied.source = (__be32)(more >> 32);
  varied.address_sum = trap_sum64(half) + trap_sum64(more);
  varied.bits = (varied.credential ? bits : more) * 0x9e3779b97f4a7c15ULL;
  return vary_tcp((void*)(ip + 1), end, &varied);
}

/* Whether the next frame may go. The kernel's loop cannot sleep, so what is early is not sent. */
static __always_inline int is_due(void) {
  __u64 now;

  if (!pace.interval)
    return 1;
  now = bpf_ktime_get_ns() << 8;
  if (now < pace.due || now > pace.end || !pace.most)
    return 0;
  if (now - pace.due > pace.forgiven)
    pace.due = now;
  pace.due += pace.interval;
  pace.most--;
  return 1;
}

SEC("xdp")
int generate(struct xdp_md* ctx) {
  void* data;
  void* end;

  if (!is_due())
    return XDP_DROP;
  /* The kernel takes the length that a page's last answer had for the length of the next frame,
   * unless the program changes it. */
  if (bpf_xdp_adjust_tail(ctx, -TRAP_FLOOD_TRIM))
    return XDP_ABORTED;
  data = (void*)(long)ctx->data;
  end = (void*)(long)ctx->data_end;
  if (!restore(data, end) || !vary(data, end))
    return XDP_ABORTED;
  return XDP_TX;
}

static __always_inline enum trap_flood_answer answer_of(const struct trap_tcp* tcp) {
  if (tcp->flags & 0x04)
    return TRAP_FLOOD_RST;
  switch (tcp->flags & 0x12) {
  case 0x02:
    return TRAP_FLOOD_SYN;
  case 0x10:
    return TRAP_FLOOD_ACK;
  case 0x12:
    return TRAP_FLOOD_SYN_ACK;
  default:
    return TRAP_FLOOD_OTHER;
  }
}

/* Sum of the 16-bit words from `at`, `words` of them at most. */
static __always_inline __u64 sum_of(void* at, void* end, __u32 words) {
  __u64 sum = 0;

  for (__u32 i = 0; i < 30; i++, at += 2) {
    if (i >= words || at + 2 > end)
      break;
    sum += *(__u16*)at;
  }
  return sum;
}

static __noinline int look_closely(struct xdp_md* ctx) {
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct iphdr* ip4 = data + sizeof(struct ethhdr);
  struct ipv6hdr* ip6 = data + sizeof(struct ethhdr);
  struct trap_tcp* tcp = order.family == TRAP_IPV4 ? (void*)(ip4 + 1) : (void*)(ip6 + 1);
  union trap_address from = {}, to = {};
  __u32 tcp_bytes;
  __u64 sum;

  if ((void*)(tcp + 1) > end || (void*)(ip6 + 1) > end)
    return 0;
  seen.sampled++;
  if (order.family == TRAP_IPV4) {
    from.be32[3] = ip4->saddr;
    to.be32[3] = ip4->daddr;
    tcp_bytes = __builtin_bswap16(ip4->tot_len) - sizeof(*ip4);
    if (trap_sum_fold(sum_of(ip4, end, 10)) != 0)
      seen.wrong_ip_checksums++;
  } else {
    __builtin_memcpy(&from, &ip6->saddr, sizeof(from));
    __builtin_memcpy(&to, &ip6->daddr, sizeof(to));
    tcp_bytes = __builtin_bswap16(ip6->payload_len);
  }
  sum = trap_sum_pseudo(&from, &to, order.family, tcp_bytes);
  if (trap_sum_fold(sum + sum_of(tcp, end, tcp_bytes / 2)) != 0) {
    /* A device that is to finish it adds the segment to what is in the field. */
    if (trap_sum_fold(sum) == (__be16)~tcp->checksum)
      seen.unfinished_tcp_checksums++;
    else
      seen.wrong_tcp_checksums++;
  }
  __be32 asked = trap_flood_seq(to.be32[3], tcp->destination_port);
  if (answer_of(tcp) == TRAP_FLOOD_SYN_ACK &&
      tcp->ack != __builtin_bswap32(__builtin_bswap32(asked) + 1))
    seen.wrong_numbers++;
  return 0;
}

SEC("xdp")
int sink(struct xdp_md* ctx) {
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = data;
  struct trap_tcp* tcp =
      data + sizeof(*eth) +
      (order.family == TRAP_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
  struct iphdr* ip4 = (void*)(eth + 1);
  struct ipv6hdr* ip6 = (void*)(eth + 1);
  __u8 protocol;
  enum trap_flood_answer answer;

  if (bpf_get_smp_processor_id() != order.cpu)
    seen.elsewhere++;
  if ((void*)(tcp + 1) > end || (void*)(ip4 + 1) > end)
    goto other;
  if (eth->h_proto != (order.family == TRAP_IPV4 ? TRAP_BE16(ETH_P_IP) : TRAP_BE16(ETH_P_IPV6)))
    goto other;
  protocol = order.family == TRAP_IPV4 ? ip4->protocol : ip6->nexthdr;
  if (protocol != IPPROTO_TCP)
    goto other;
  answer = answer_of(tcp);
  seen.answers[answer]++;
  if (answer != TRAP_FLOOD_SYN && seen.answers[answer] % TRAP_FLOOD_SAMPLING == 1)
    look_closely(ctx);
  return XDP_DROP;
other:
  seen.answers[TRAP_FLOOD_OTHER]++;
  return XDP_DROP;
}

/* At the router's end of a flooded link: answers to the flood's invented sources end here, as they
 * would leave a real host by its card, and everything else goes on. */
SEC("xdp")
int gate(struct xdp_md* ctx) {
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = (void*)(long)ctx->data;
  struct iphdr* ip4 = (void*)(eth + 1);
  struct ipv6hdr* ip6 = (void*)(eth + 1);
  __u32 prefix;

  if ((void*)(ip4 + 1) > end)
    return XDP_PASS;
  if (eth->h_proto == TRAP_BE16(ETH_P_IP))
    return (ip4->daddr & 0xff) < 127 ? XDP_DROP : XDP_PASS;
  if (eth->h_proto != TRAP_BE16(ETH_P_IPV6) || (void*)(ip6 + 1) > end)
    return XDP_PASS;
  __builtin_memcpy(&prefix, &ip6->daddr, sizeof(prefix)); /* 2001::/16 but for 2001:db8::/32 */
  return (prefix & 0xffff) == 0x0120 && prefix != 0xb80d0120 ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
