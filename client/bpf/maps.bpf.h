/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-client's maps; keys and values are defined in client/maps.h, which the daemon shares. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "client/maps.h"

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_CLIENT_MAX_PENDING);
  __type(key, struct trap_tuple);
  __type(value, struct trap_pending);
} pending SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_CLIENT_MAX_PENDING);
  __type(key, struct trap_tuple);
  __type(value, struct trap_pending);
} pending_crowd SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_CLIENT_MAX_OWNERS);
  __type(key, struct trap_owner);
  __type(value, struct trap_owner_share);
} owners SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_CLIENT_REDIRECTS);
  __type(key, struct trap_redirect_key);
  __type(value, struct trap_redirect);
} redirects SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_CLIENT_FLOWS);
  __type(key, struct trap_tuple);
  __type(value, struct trap_outward);
} to_backend SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_CLIENT_FLOWS);
  __type(key, struct trap_tuple);
  __type(value, struct trap_inward);
} to_public SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct trap_translation);
} translations SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_CLIENT_MAX_ORIGINS);
  __type(key, struct trap_origin_key);
  __type(value, struct trap_origins);
} origins SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_remotes);
} remotes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, TRAP_CLIENT_MAX_FALLBACKS);
  __type(key, struct trap_redirect_key);
  __type(value, struct trap_fallback);
} fallbacks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries,
         2 * TRAP_CLIENT_MAX_TRUSTED); /* a reload has the old and the new for a moment */
  __type(key, struct trap_trust_key);
  __type(value, __u32); /* the trust's number */
} trust_services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 2 * TRAP_CLIENT_MAX_TRUSTED);
  __type(key, struct trap_trust_key);
  __type(value, __u32); /* 1 */
} trust_targets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 2 * TRAP_CLIENT_MAX_LINKS); /* old and new for a moment */
  __type(key, struct trap_trust_key);
  __type(value, __u32); /* the interface's index */
} links SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2 * 2 * TRAP_CLIENT_MAX_RULES); /* sets, families */
  __type(key, __u32);
  __type(value, struct trap_rule);
} rules SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 2 * TRAP_CLIENT_MAX_ROUTES); /* sets */
  __type(key, struct trap_trust_key);
  __type(value, struct trap_route);
} routes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_client_settings);
} settings SEC(".maps");
