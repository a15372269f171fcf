/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Compile-time assertion that C (BPF) and C++ (host) both accept. */
#pragma once

#ifdef __cplusplus
#define TRAP_ASSERT(condition, message) static_assert(condition, message)
#else
#define TRAP_ASSERT(condition, message) _Static_assert(condition, message)
#endif

#define TRAP_INLINE static inline __attribute__((always_inline))
