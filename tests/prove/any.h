/* SPDX-License-Identifier: Apache-2.0 */
/* Frama-C's needs beside the data plane's headers: the compiler's built-ins as C, and packets of
 * which only the length is known. */
#pragma once

#include <string.h>

#include "__fc_builtin.h"

#define __builtin_memcpy memcpy
#define __builtin_memset memset
#define __builtin_bswap16(x) any_bswap16(x)
#define __builtin_bswap32(x) any_bswap32(x)
#define __builtin_bswap64(x) any_bswap64(x)

static unsigned short any_bswap16(unsigned short x) {
  return (unsigned short)(x << 8 | x >> 8);
}

static unsigned any_bswap32(unsigned x) {
  return x << 24 | (x & 0xff00U) << 8 | (x >> 8 & 0xff00U) | x >> 24;
}

static unsigned long any_bswap64(unsigned long x) {
  return (unsigned long)any_bswap32((unsigned)x) << 32 | any_bswap32((unsigned)(x >> 32));
}

#define TRAP_PROVE_BYTES 128

/* A frame of any length up to TRAP_PROVE_BYTES and of any bytes. It lies at the end of its memory,
 * so that a byte read behind it is an access out of bounds; each length is followed by itself. */
static unsigned char any_bytes[TRAP_PROVE_BYTES];

static const unsigned char* any_frame(void) {
  int bytes = Frama_C_interval(0, TRAP_PROVE_BYTES);

  Frama_C_make_unknown((char*)any_bytes, TRAP_PROVE_BYTES);
  //@ split bytes;
  return any_bytes + TRAP_PROVE_BYTES - bytes;
}

static const unsigned char* end_of_frame(void) {
  return any_bytes + TRAP_PROVE_BYTES;
}
