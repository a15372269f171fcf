// SPDX-License-Identifier: Apache-2.0
#include "runtime/keys/clock_writer.h"

#include <algorithm>
#include <ctime>

#include "runtime/nanoseconds.h"

namespace trap {
namespace {

std::uint64_t clock_ns(clockid_t id) {
  timespec now;
  clock_gettime(id, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * ns_per_s +
         static_cast<std::uint64_t>(now.tv_nsec);
}

} // namespace

trap_clock_anchor read_clocks() {
  // Both coarse clocks move on the same timer tick: unless one fell between the readings, they show
  // one moment.
  trap_clock_anchor anchor;
  do {
    anchor.monotonic_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
    anchor.unix_ns = clock_ns(CLOCK_REALTIME_COARSE);
  } while (anchor.monotonic_ns != clock_ns(CLOCK_MONOTONIC_COARSE));
  anchor.unix_s = anchor.unix_ns / ns_per_s;
  return anchor;
}

void publish_clock(trap_clock& clock, const trap_clock_anchor& anchor) {
  const __u32 next = (clock.active & 1) ^ 1;
  const __u64 into_second_ns = anchor.unix_ns - anchor.unix_s * ns_per_s;

  clock.anchors[next] = anchor;
  // At the beginning of a second, so that whole seconds can be added.
  if (anchor.monotonic_ns > into_second_ns) {
    clock.anchors[next].monotonic_ns -= into_second_ns;
    clock.anchors[next].unix_ns -= into_second_ns;
  }
  __atomic_store_n(&clock.active, next, __ATOMIC_RELEASE);
}

void forget_foreign_keys(trap_keyring& ring,
                         const std::function<trap_key(std::uint64_t epoch)>& derive) {
  for (trap_epoch_key& slot : ring.slots) {
    if (slot.epoch == 0)
      continue;
    trap_key key = derive(slot.epoch);
    if (!trap_key_equal(&key, &slot.key))
      __atomic_store_n(&slot.epoch, 0, __ATOMIC_RELEASE);
  }
}

void rotate_keyring(trap_keyring& ring, std::uint64_t now_epoch,
                    const std::function<trap_key(std::uint64_t epoch)>& derive) {
  std::uint64_t first = now_epoch > 1 ? now_epoch - 1 : 1;

  for (std::uint64_t epoch = first; epoch < first + TRAP_KEYRING_SLOTS; epoch++) {
    trap_epoch_key& slot = ring.slots[epoch & (TRAP_KEYRING_SLOTS - 1)];
    if (slot.epoch == epoch)
      continue;
    slot.key = derive(epoch);
    __atomic_store_n(&slot.epoch, epoch, __ATOMIC_RELEASE);
  }
}

std::vector<std::uint64_t> epochs_held(const trap_keyring& ring) {
  std::vector<std::uint64_t> epochs;
  for (const trap_epoch_key& slot : ring.slots) {
    if (slot.epoch != 0)
      epochs.push_back(slot.epoch);
  }
  std::sort(epochs.begin(), epochs.end());
  return epochs;
}

std::uint64_t keys_end_unix_ns(const trap_keyring& ring, std::uint64_t unix_ns) {
  std::uint64_t epoch = trap_epoch(unix_ns);
  trap_key key;
  if (!trap_keyring_find(&ring, epoch, &key))
    return 0;
  while (trap_keyring_find(&ring, epoch, &key))
    epoch++;
  return epoch << TRAP_EPOCH_SHIFT;
}

double key_seconds_left(const trap_keyring& ring, std::uint64_t unix_ns) {
  const std::uint64_t end_ns = keys_end_unix_ns(ring, unix_ns);
  return end_ns == 0 ? 0 : static_cast<double>(end_ns - unix_ns) / static_cast<double>(ns_per_s);
}

} // namespace trap
