/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-guard's maps; keys and values are defined in guard/maps.h, which the daemon shares. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/verdict.h"
#include "guard/maps.h"

/* Sizes of the tables, powers of two, as their maps have them. The daemon sets them by the
 * configuration before it loads the program. */
const volatile __u32 flow_buckets = TRAP_FLOW_BUCKETS;
const volatile __u32 half_open_buckets = TRAP_HALF_OPEN_BUCKETS;
const volatile __u32 announced_buckets = TRAP_ANNOUNCED_BUCKETS;
const volatile __u32 client_buckets = TRAP_CLIENT_BUCKETS;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 65536);
  __type(key, __u32);
  __type(value, struct trap_guard_port);
} ports SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, TRAP_GUARD_MAX_TRAP_SERVERS);
  __type(key, union trap_address);
  __type(value, struct trap_guard_peer);
} trap_servers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, TRAP_GUARD_MAX_TRUSTED);
  __type(key, struct trap_trusted_key);
  __type(value, __u8);
} trusted SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, TRAP_GUARD_MAX_POOL_PREFIXES);
  __type(key, struct trap_trusted_key);
  __type(value, __u32);
} pools SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_GUARD_TAGS);
  __type(key, __u32);
  __type(value, __u32);
} tag_pools SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_GUARD_TAGS);
  __type(key, __u32);
  __type(value, struct trap_guard_class);
} classes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_guard_settings);
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_ANNOUNCED_BUCKETS);
  __type(key, __u32);
  __type(value, struct trap_announced_bucket);
} announced SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_FLOW_BUCKETS);
  __type(key, __u32);
  __type(value, struct trap_flow_bucket);
} flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_HALF_OPEN_BUCKETS);
  __type(key, __u32);
  __type(value, struct trap_flow_bucket);
} half_open SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_half_open_marks);
} half_open_marks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_flow_keys);
} flow_keys SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_CLIENT_BUCKETS);
  __type(key, __u32);
  __type(value, struct trap_client_bucket);
} client_budgets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_client_keys);
} client_keys SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_GUARD_NETWORKS);
  __type(key, union trap_address);
  __type(value, struct trap_bucket);
} networks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_GUARD_TAGS);
  __type(key, __u32);
  __type(value, struct trap_network_class);
} network_classes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_NETWORKS);
  __type(key, __u32);
  __type(value, struct trap_network);
} network_budgets SEC(".maps");

/* Refusals that were not enforced, by slot and verdict as in `counters`. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TRAP_GUARD_MAX_SERVICES* TRAP_VERDICT_SLOTS);
  __type(key, __u32);
  __type(value, struct trap_count);
} monitored SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 65536);
} suspects SEC(".maps");
