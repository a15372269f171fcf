/* SPDX-License-Identifier: Apache-2.0 */
/* Proves the reading of a SYN's options, over a TCP header of any length and content. */
#include "tests/prove/any.h"

#include "dataplane/syn_options.h"

void prove(void) {
  struct trap_syn_options syn;

  any_frame();
  //@ loop unroll 20;
  for (__u32 words = 5; words <= 15; words++) {
    trap_read_syn_options(&syn, end_of_frame() - 4 * words, end_of_frame(), 4 * words);
    //@ assert syn.window_scale <= TRAP_WINDOW_SCALE_MAX;
  }
}
