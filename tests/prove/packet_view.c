/* SPDX-License-Identifier: Apache-2.0 */
/* Proves that the packet view reads no byte outside a frame and computes nothing undefined, for
 * every frame of up to TRAP_PROVE_BYTES bytes, with and without a link layer. */
#include "tests/prove/any.h"

#include "dataplane/packet.h"

void prove(void) {
  struct trap_packet packet;
  const __u8* frame = any_frame();

  trap_start_packet(&packet);
  trap_read_frame(&packet, frame, end_of_frame());
  trap_start_packet(&packet);
  trap_read_ip(&packet, frame, end_of_frame());
}
