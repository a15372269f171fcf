/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* trap-server's maps; keys and values are defined in server/maps.h, which the daemon shares. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "server/maps.h"

/* Send TRAP options with the shared experimental kind 253 (docs/protocol.md 3). */
const volatile __u8 send_experimental = 0;

/* A pointer to nothing, so that this type is among the program's: by it the daemon reads the hash
 * that `clients` was in 0.4.0 (EntryForm of runtime/takeover). */
const struct trap_client_key* const volatile former_clients_key = 0;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_PLACES);
  __type(key, __u32);
  __type(value, struct trap_place);
} service_table SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_SERVER_MAX_SERVICES);
  __type(key, __u32);
  __type(value, struct trap_service);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_SERVER_MAX_POOLS);
  __type(key, __u32);
  __type(value, struct trap_selection);
} selections SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_SERVER_MAX_BACKENDS);
  __type(key, __u32);
  __type(value, struct trap_backend);
} backends SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_SERVER_MAX_GUARDS);
  __type(key, __u32);
  __type(value, struct trap_server_guard);
} guards SEC(".maps");

/* The form of every trie in `policies`; the daemon makes them as large as they need to be. */
struct policy_trie {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(struct trap_policy_key)); /* sizes: clang 14 does not describe types that
                                                       only an inner map names */
  __uint(value_size, sizeof(struct trap_policy));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, TRAP_SERVER_MAX_SERVICES);
  __type(key, __u32);
  __array(values, struct policy_trie);
} policies SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, TRAP_BUDGET_ROWS);
  __type(key, __u32);
  __type(value, struct trap_budget_row);
} clients SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_CAPS);
  __type(key, __u32);
  __type(value, struct trap_cap);
} caps SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TRAP_CAPS);
  __type(key, __u32);
  __type(value, __u64); /* tokens left of the chunk that this CPU took last */
} allowances SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAP_SERVER_MAX_SERVICES);
  __type(key, __u32);
  __type(value, struct trap_cap);
} peace_caps SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct trap_server_settings);
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024); /* 8,192 records */
} redirected SEC(".maps");

/* By interface index: the XDP program of another part of TRAP, which judges what is for no service
 * (docs/adr/0042). The kernel empties it when neither a descriptor nor a pin is left. */
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, TRAP_BEHIND_INTERFACES);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(__u32));
} behind SEC(".maps");
