/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two programs that choose the listener of a client: one of those that share an address and port
 * (SO_REUSEPORT), and one that has another address and port than clients ask for. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} chosen SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SOCKMAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} steered SEC(".maps");

const volatile __u32 steered_port, steered_family;

SEC("sk_reuseport")
int lab_choose(struct sk_reuseport_md* context) {
  __u32 only = 0;

  return bpf_sk_select_reuseport(context, &chosen, &only, 0) ? SK_DROP : SK_PASS;
}

SEC("sk_lookup")
int lab_steer(struct bpf_sk_lookup* context) {
  __u32 only = 0;
  struct bpf_sock* listener;

  if (context->local_port != steered_port || context->family != steered_family)
    return SK_PASS;
  listener = bpf_map_lookup_elem(&steered, &only);
  if (!listener)
    return SK_PASS;
  bpf_sk_assign(context, listener, 0);
  bpf_sk_release(listener);
  return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
