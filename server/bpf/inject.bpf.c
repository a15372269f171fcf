/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lets the daemon put a packet on the way that packets of an interface take, behind XDP: it runs
 * this with live frames (server/daemon/serving/self_test.h). Attached nowhere. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int trap_inject(struct xdp_md* ctx __attribute__((unused))) {
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
