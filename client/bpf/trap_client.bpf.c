/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-client at tc: takes connections of this host to where a TRAP server redirects them, unseen by applications.
 * The walk: egress (client/bpf/egress.h), ingress (client/bpf/ingress.h), count. docs/packet-walk.md follows it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "client/bpf/encounter.h"

#define TRAP_COUNTER_SERVICES 1
#include "client/bpf/egress.h"
#include "client/bpf/ingress.h"
#include "dataplane/bpf/count.h"

static __always_inline int finish(const struct __sk_buff* skb, const struct encounter* e, enum trap_verdict verdict) {
  if (explaining)
    return explain(0, verdict);
  count(0, verdict, skb->len, 0);
  return tc_action(e, verdict);
}

SEC("tc")
int trap_client_egress(struct __sk_buff* skb) {
  struct encounter* e = begin_encounter();

  return e ? finish(skb, e, judge_outgoing(skb, e)) : TC_ACT_UNSPEC;
}

SEC("tc")
int trap_client_ingress(struct __sk_buff* skb) {
  struct encounter* e = begin_encounter();

  return e ? finish(skb, e, judge_incoming(skb, e)) : TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
