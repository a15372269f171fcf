/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Passes every frame. XDP_TX on a veth reaches the other end only if that end receives through
 * NAPI, and an XDP program is what switches it on: the lab puts this one on the router's end of the
 * TRAP server's link. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int lab_pass(struct xdp_md* context) {
  (void)context;
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
