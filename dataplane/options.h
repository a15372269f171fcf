/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The option walk: finds the one TRAP option of a TCP header, or reports several or a malformed one
 * (docs/protocol.md 3). */
#pragma once

#include "dataplane/packet.h"
#include "dataplane/verifier.h"
#include "protocol/wire.h"

#define TRAP_TCPOPT_EOL 0
#define TRAP_TCPOPT_NOP 1
#define TRAP_TCPOPT_MD5 19 /* RFC 2385 */
#define TRAP_TCPOPT_AO 29  /* RFC 5925 */

/* The options of one segment, copied out of the packet, with room to read a TRAP header at any
 * offset. */
struct trap_option_area {
  __u8 bytes[TRAP_TCP_OPTIONS_MAX + 8];
  __u32 used;          /* 0 to 40 */
  __u32 address_bytes; /* 4 or 16: the length of addresses in bodies */
  volatile __u32
      cursor; /* of the walk; in memory for the verifier's sake, see TRAP_GLOBAL_FUNCTION */
  volatile __u32 found;
};

TRAP_ASSERT(sizeof(struct trap_option_area) == 64, "passed to a BPF global function by its size");

enum trap_option_defect {
  TRAP_OPTIONS_SOUND,
  TRAP_OPTIONS_MALFORMED, /* the options do not parse, or the TRAP option is not of its type's form
                           */
  TRAP_OPTIONS_DUPLICATE, /* more than one TRAP option */
};

struct trap_option {
  enum trap_option_defect defect;
  __u8 type;         /* enum trap_option_type; NONE if there is none, or a defect */
  __u8 experimental; /* came with kind 253 */
  __u8 body_offset;  /* in the area's bytes */
};

/* Copies the options behind the TCP header at tcp; header_bytes is 20 to 60 and was checked to lie
 * before end. */
TRAP_INLINE void trap_copy_options(struct trap_option_area* area, const void* tcp, const void* end,
                                   __u32 header_bytes, __u32 family) {
  const __u8* from = (const __u8*)tcp + TRAP_TCP_HEADER_BYTES;
  __u32 used = header_bytes - TRAP_TCP_HEADER_BYTES;

  __builtin_memset(area->bytes, 0, sizeof(area->bytes));
  area->used = used;
  area->address_bytes = family == TRAP_IPV4 ? 4 : 16;
  for (__u32 at = 0; at < TRAP_TCP_OPTIONS_MAX && at < used; at += 4) {
    TRAP_HOLD(from);
    if (from + 4 > (const __u8*)end)
      break;
    __builtin_memcpy(area->bytes + at, from, 4);
    from += 4;
  }
}

/* Is the option at bytes[at] one of ours, by its kind? `length` is that of the option. */
TRAP_INLINE int trap_is_our_kind(const __u8* at, __u32 length) {
  if (at[0] == TRAP_KIND_RESERVED)
    return 1;
  return at[0] == TRAP_KIND_EXPERIMENTAL && length >= 4 && at[2] == TRAP_EXPERIMENT_ID >> 8 &&
         at[3] == (TRAP_EXPERIMENT_ID & 0xff);
}

/* Does an option of this kind sign addresses, ports and header? */
TRAP_INLINE int trap_is_signature(__u8 kind) {
  return kind == TRAP_TCPOPT_MD5 || kind == TRAP_TCPOPT_AO;
}

/* Values of `found` besides the offset of the only TRAP option in the area. */
#define TRAP_FOUND_NONE 0x100
#define TRAP_FOUND_MALFORMED 0x101
#define TRAP_FOUND_DUPLICATE 0x102

/* One step: judges the option at area->cursor and moves on. 0 when the walk is over. */
TRAP_INLINE int trap_walk_step(struct trap_option_area* area) {
  __u32 offset = area->cursor;
  const __u8* at;
  __u32 length;

  if (offset >= TRAP_TCP_OPTIONS_MAX || offset >= area->used)
    return 0;
  at = area->bytes + offset;
  if (at[0] == TRAP_TCPOPT_EOL)
    return 0;
  if (at[0] == TRAP_TCPOPT_NOP) {
    area->cursor = offset + 1;
    return 1;
  }
  length = at[1];
  if (length < 2 || offset + length > area->used) {
    area->found = TRAP_FOUND_MALFORMED;
    return 0;
  }
  if (trap_is_our_kind(at, length)) {
    if (area->found != TRAP_FOUND_NONE) {
      area->found = TRAP_FOUND_DUPLICATE;
      return 0;
    }
    area->found = offset;
  }
  area->cursor = offset + length;
  return 1;
}

#define TRAP_LINUX_OPTION_BYTES 20

/* 0 if these are the options of a Linux SYN: MSS, SACK permitted, timestamps, NOP, window scale, in
 * this order. Most floods send them too. The caller has checked that TRAP_LINUX_OPTION_BYTES are
 * there. Without a branch, so that verifiers have one way to follow. */
TRAP_INLINE __u32 trap_unlike_linux_options(const __u8* options) {
  return ((TRAP_LOAD32(options) & TRAP_BE32(0xffff0000)) ^ TRAP_BE32(0x02040000)) |
         (TRAP_LOAD32(options + 4) ^ TRAP_BE32(0x0402080a)) |
         ((TRAP_LOAD32(options + 16) & TRAP_BE32(0xffffff00)) ^ TRAP_BE32(0x01030300));
}

TRAP_INLINE int trap_are_linux_options(const __u8* options) {
  return trap_unlike_linux_options(options) == 0;
}

/* Walks the options by kind and length; returns area->found. See TRAP_GLOBAL_FUNCTION for the form
 * it has. */
TRAP_GLOBAL_FUNCTION __u32 trap_walk_options(struct trap_option_area* area) {
  if (!area)
    return TRAP_FOUND_MALFORMED;
  area->cursor =
      area->used >= TRAP_LINUX_OPTION_BYTES && trap_are_linux_options(area->bytes)
          ? TRAP_LINUX_OPTION_BYTES /* where the walk would come to over them, with none of ours */
          : 0;
  area->found = TRAP_FOUND_NONE;
  for (int i = 0; i < TRAP_TCP_OPTIONS_MAX; i++) {
    if (!trap_walk_step(area))
      break;
  }
  return area->found;
}

/* Judges the header of the TRAP option at `offset` of the area (docs/protocol.md 3). */
TRAP_INLINE struct trap_option trap_read_option(const struct trap_option_area* area, __u32 offset) {
  struct trap_option option = {};
  const __u8* at = area->bytes + offset;
  __u32 header_bytes =
      at[0] == TRAP_KIND_EXPERIMENTAL ? TRAP_HEADER_BYTES_EXPERIMENTAL : TRAP_HEADER_BYTES;
  __u8 version_and_type = at[0] == TRAP_KIND_EXPERIMENTAL ? at[4] : at[2];
  __u32 type = version_and_type & 0x0f;
  __u32 body_bytes = trap_body_bytes(type, area->address_bytes);

  if (body_bytes == 0 || version_and_type >> 4 != TRAP_VERSION ||
      at[1] != header_bytes + body_bytes) {
    option.defect = TRAP_OPTIONS_MALFORMED;
    return option;
  }
  option.type = (__u8)type;
  option.experimental = header_bytes == TRAP_HEADER_BYTES_EXPERIMENTAL;
  option.body_offset = (__u8)(offset + header_bytes);
  return option;
}

/* The one TRAP option of the TCP header at tcp, none, or the defect. *area receives the options; a
 * body is read with trap_option_body. */
TRAP_INLINE struct trap_option trap_find_option(struct trap_option_area* area, const void* tcp,
                                                const void* end, __u32 header_bytes, __u32 family) {
  struct trap_option none = {};
  __u32 walked;

  if (header_bytes <= TRAP_TCP_HEADER_BYTES)
    return none;
  trap_copy_options(area, tcp, end, header_bytes, family);
  walked = trap_walk_options(area);
  if (walked < TRAP_TCP_OPTIONS_MAX)
    return trap_read_option(area, walked);
  if (walked == TRAP_FOUND_MALFORMED)
    none.defect = TRAP_OPTIONS_MALFORMED;
  if (walked == TRAP_FOUND_DUPLICATE)
    none.defect = TRAP_OPTIONS_DUPLICATE;
  return none;
}

/* The verdict of a server or guard on a segment whose options it has to read; `defect` is one. */
TRAP_INLINE TRAP_MUST_USE enum trap_verdict
trap_verdict_of_options(enum trap_option_defect defect) {
  return defect == TRAP_OPTIONS_DUPLICATE ? TRAP_DROP_DUPLICATE_OPTION : TRAP_DROP_MALFORMED_OPTION;
}

/* Where an option's body of body_bytes starts; NULL if it cannot be there, which a well-formed
 * option excludes. */
TRAP_INLINE const __u8* trap_option_body(const struct trap_option_area* area,
                                         const struct trap_option* option, __u32 body_bytes) {
  __u64 offset = option->body_offset;

  TRAP_HOLD(offset);
  if (offset > TRAP_TCP_OPTIONS_MAX - body_bytes)
    return (const __u8*)0;
  return area->bytes + offset;
}
