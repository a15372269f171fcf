/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ethernet addresses of this host, as the daemon lists them (server/daemon/watch/own_macs.h).
 * An interface that is promiscuous, such as the port of a bridge, shows frames of other hosts too:
 * the stack or the bridge knows what to do with them, and an answer would be a second one. */
#pragma once

#include "dataplane/packet.h"
#include "server/bpf/maps.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_own_macs);
} own_macs SEC(".maps");

/* Only a frame that could be answered asks. */
static __always_inline int is_to_other_host(const void* data, const void* end) {
  __u32 zero = 0;
  const struct trap_own_macs* own = bpf_map_lookup_elem(&own_macs, &zero);
  const struct trap_own_mac_table* table;
  const __u64* macs;
  __u64 mac, active;

  if (!own || (const void*)((const __u8*)data + ETH_HLEN) > end)
    return 0;
  active = *(const volatile __u64*)&own->active;
  if (!active)
    return 0;
  mac = TRAP_LOAD64(data) & (TRAP_OWN_MAC_TAKEN - 1);
  table = &own->tables[(active - 1) & 1];
  macs = table->macs[trap_own_mac_bucket(mac, table->multiplier)];
  mac |= TRAP_OWN_MAC_TAKEN;
  return macs[0] != mac && macs[1] != mac && macs[2] != mac && macs[3] != mac;
}
