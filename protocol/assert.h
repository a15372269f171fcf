/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Compile-time assertions and attributes that C (BPF) and C++ (host) both accept. */
#pragma once

#ifdef __cplusplus
#define TRAP_ASSERT(condition, message) static_assert(condition, message)
#else
#define TRAP_ASSERT(condition, message) _Static_assert(condition, message)
#endif

#define TRAP_INLINE static inline __attribute__((always_inline))

/* For a function whose result decides about the packet: a verdict, or an enum that leads to one. */
#define TRAP_MUST_USE __attribute__((warn_unused_result))
