/* SPDX-License-Identifier: Apache-2.0 */
/* Proves the option walk: over a TCP header of any length and content, up to the last byte of the
 * body of the TRAP option that it finds. */
#include "tests/prove/any.h"

#include "dataplane/options.h"

static void read_all(const __u8* from, __u32 bytes) {
  volatile __u8 read;

  for (__u32 i = 0; i < bytes; i++)
    read = from[i];
}

static void prove_for(__u32 words, __u32 family) {
  struct trap_option_area area;
  const __u8* header = end_of_frame() - 4 * words;
  struct trap_option option = trap_find_option(&area, header, end_of_frame(), 4 * words, family);
  __u32 body_bytes = trap_body_bytes(option.type, family == TRAP_IPV4 ? 4 : 16);
  const __u8* body;

  if (option.type == TRAP_OPTION_NONE)
    return;
  //@ split body_bytes;
  body = trap_option_body(&area, &option, body_bytes);
  if (body)
    read_all(body, body_bytes);
}

void prove(void) {
  any_frame();
  //@ loop unroll 20;
  for (__u32 words = 5; words <= 15; words++) {
    prove_for(words, TRAP_IPV4);
    prove_for(words, TRAP_IPV6);
  }
}
