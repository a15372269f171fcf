/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every work-around for the BPF verifier or for clang's BPF back end, each with kernel, compiler
 * and symptom. No-ops on the host. */
#pragma once

#include <linux/types.h>

/* TRAP_HOLD(x) holds a number or pointer in one register, as the source has it, so that clang
 * cannot compute with another form of it:
 * - clang 14 rewrites `p + n > end` in loops as `p + n >= end + 1`; kernel 6.18: "R3 pointer
 * arithmetic on pkt_end prohibited".
 * - clang 14 narrows a difference of packet pointers to 32 bits when only its low half is used;
 * kernel 6.18: "R2 32-bit pointer arithmetic prohibited".
 * - clang 14 compares one copy of a number and adds another to a pointer, or gives it to a helper;
 * kernel 6.1, which does not relate the two: "invalid variable-offset read from stack", "R3 min
 * value is outside of the allowed memory range".
 * - clang 14 computes a pointer into the packet once for the bound check and once more for the
 * access, where it knows that the offset it begins with is 0; kernel 6.18: "invalid access to
 * packet, R1 offset is outside of the packet".
 * - clang 19 draws one bound check from another: where `p + n` with n >= 0 is inside the packet, it
 * leaves out the check of `p`; kernel 6.18, which does not: "invalid access to packet, R1 offset is
 * outside of the packet".
 * - clang 14 adds an index to the address of an array on the stack by `|`, where it knows the low
 * bits to be 0; kernel 6.18: "R0 bitwise operator |= on pointer prohibited".
 * - kernel 7.3 forgets the lower bound of a number that may be negative once it learns the upper:
 * "R4 invalid zero-sized read". The upper bound is asked for first, and held, with clang 14.
 * - clang 14 asks for the end of a loop before it counts, so that the body falls through to its own
 * beginning; kernel 6.1, which lets only jumps lead back: "back-edge from insn 4008 to 4009".
 * - clang 19 makes a bit of each condition of an unrolled loop that sets one variable, and joins
 * them at the end, so that the verifier follows each combination of 16; kernel 6.18, trap_guard:
 * "BPF program is too large. Processed 1000001 insn". Held behind each, the variable has as many
 * values as the source says. */
#ifdef __bpf__
#define TRAP_HOLD(x) __asm__ volatile("" : "+r"(x))
#else
#define TRAP_HOLD(x) ((void)(x))
#endif

/* TRAP_FORGET(x, any) is x, of which the verifier knows nothing any more; `any` is a number that it
 * knows nothing of. Kernel 6.1 follows all behind a walk once for each bound that the walk may have
 * found: with clang 14, IPv6 extension headers alone took trap_guard from 381,000 instructions to
 * 944,624 of the 1,000,000 that it may have, and VLAN tags take trap_server from 517,000 to
 * 750,000.
 */
#ifdef __bpf__
#define TRAP_FORGET(x, any)                                                                        \
  ({                                                                                               \
    __u64 given = (__u64)(any), same = given;                                                      \
    TRAP_HOLD(same);                                                                               \
    same ^= given ^ (x);                                                                           \
    TRAP_HOLD(same); /* or clang 14 moves a mask in front */                                       \
    same;                                                                                          \
  })
#else
#define TRAP_FORGET(x, any) (x)
#endif

/* Words of a packet at any alignment. clang 14 for BPF puts a word together from bytes, or from
 * halves, where it does not know better, which are 3 to 20 instructions for one; x86-64 and arm64
 * read and write any address, and their kernels let programs do so. */
#ifdef __bpf__
#define TRAP_LOAD32(at) (*(const __u32*)(at))
#define TRAP_LOAD64(at) (*(const __u64*)(at))
#define TRAP_STORE64(at, value) (*(__u64*)(at) = (value))
#else
#define TRAP_LOAD32(at) (trap_load32(at))
#define TRAP_LOAD64(at) (trap_load64(at))
static inline __u32 trap_load32(const void* at) {
  __u32 word;

  __builtin_memcpy(&word, at, sizeof(word));
  return word;
}
static inline __u64 trap_load64(const void* at) {
  __u64 word;

  __builtin_memcpy(&word, at, sizeof(word));
  return word;
}
#endif

/* A function that the verifier judges once by itself (a BPF global function), not again on every
 * path that calls it. The option walk is one, and keeps its cursor in its caller's memory, whose
 * content the verifier does not track: each step then looks the same to it. Inlined, or with the
 * cursor in a register, each combination of option lengths was a state of its own: clang 14,
 * kernel 6.18, "BPF program is too large. Processed 1000001 insn". */
#ifdef __bpf__
#define TRAP_GLOBAL_FUNCTION __attribute__((noinline))
#else
#define TRAP_GLOBAL_FUNCTION static inline
#endif
