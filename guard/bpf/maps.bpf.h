/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-guard's maps; keys and values are defined in guard/maps.h, which the daemon shares. */
#ifndef TRAP_GUARD_BPF_MAPS_H
#define TRAP_GUARD_BPF_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "guard/maps.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 65536);
  __type(key, __u32);
  __type(value, __u32);
} ports SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_GUARD_MAX_SERVICES);
  __type(key, __u32);
  __type(value, struct trap_guard_service);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, TRAP_GUARD_MAX_TRAP_SERVERS);
  __type(key, union trap_address);
  __type(value, __u8);
} trap_servers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, TRAP_GUARD_MAX_TRUSTED);
  __type(key, struct trap_trusted_key);
  __type(value, __u8);
} trusted SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_guard_settings);
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_GUARD_MAX_ANNOUNCED);
  __type(key, struct trap_announced_key);
  __type(value, struct trap_announced);
} announced SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_GUARD_MAX_FLOWS);
  __type(key, struct trap_flow_key);
  __type(value, struct trap_guard_flow);
} flows SEC(".maps");

#endif
