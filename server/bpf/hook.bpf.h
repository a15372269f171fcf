/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The place where trap-server meets a packet: XDP, or tc ingress (docs/adr/0045). Both programs
 * have one source. `is_tc` is a constant in each, so that nothing of the other is left there. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct hook {
  void* context; /* struct xdp_md, or struct __sk_buff */
  int is_tc;
};

static __always_inline struct hook at_xdp(struct xdp_md* ctx) {
  return (struct hook){.context = ctx, .is_tc = 0};
}

static __always_inline struct hook at_tc(struct __sk_buff* skb) {
  return (struct hook){.context = skb, .is_tc = 1};
}

/* The frame, at tc that part of it that lies in one piece. */
static __always_inline const void* hook_data(struct hook hook) {
  return hook.is_tc ? (const void*)(long)((struct __sk_buff*)hook.context)->data
                    : (const void*)(long)((struct xdp_md*)hook.context)->data;
}

static __always_inline const void* hook_end(struct hook hook) {
  return hook.is_tc ? (const void*)(long)((struct __sk_buff*)hook.context)->data_end
                    : (const void*)(long)((struct xdp_md*)hook.context)->data_end;
}

static __always_inline __u32 hook_interface(struct hook hook) {
  return hook.is_tc ? ((struct __sk_buff*)hook.context)->ifindex
                    : ((struct xdp_md*)hook.context)->ingress_ifindex;
}

/* Bytes of the frame between `data` and `end`, and at tc of its other pieces. */
static __always_inline __u64 hook_bytes(struct hook hook, const void* data, const void* end) {
  return hook.is_tc ? ((struct __sk_buff*)hook.context)->len : (__u64)(end - data);
}
