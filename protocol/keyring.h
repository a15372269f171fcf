/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys by epoch in a ring that user space fills ahead. A slot in use is never rewritten: rotation
 * only touches slots whose epoch is more than one away, so a reader can take a key without a lock.
 */
#pragma once

#include <linux/types.h>

#include "protocol/siphash.h"

/* Eight epochs, from the previous one to six ahead: a program outlives its daemon by at least seven
 * hours. */
#define TRAP_KEYRING_SLOTS 8

struct trap_epoch_key {
  __u64 epoch; /* 0: empty; no real epoch is 0 */
  struct trap_key key;
};

struct trap_keyring {
  struct trap_epoch_key slots[TRAP_KEYRING_SLOTS];
};

TRAP_ASSERT(sizeof(struct trap_keyring) == 320, "key rings are shared through maps");

/* Copies the key of an epoch to *key. 0 if the ring has none; *key is then unchanged. (A copy,
 * because the verifier loses track of a pointer that may be NULL.) */
TRAP_INLINE int trap_keyring_find(const struct trap_keyring* ring, __u64 epoch,
                                  struct trap_key* key) {
  const struct trap_epoch_key* slot = &ring->slots[epoch & (TRAP_KEYRING_SLOTS - 1)];

  if (slot->epoch != epoch)
    return 0;
  *key = slot->key;
  return 1;
}

/* The previous, the present or the next epoch, if its low 8 bits are epoch_byte; 0 if none fits. */
TRAP_INLINE __u64 trap_epoch_from_byte(__u64 now_epoch, __u8 epoch_byte) {
  __s8 distance = (__s8)(epoch_byte - (__u8)now_epoch);

  return distance >= -1 && distance <= 1 ? now_epoch + (__u64)(__s64)distance : 0;
}
