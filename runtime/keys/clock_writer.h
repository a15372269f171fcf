// SPDX-License-Identifier: Apache-2.0
// Writes the clock anchor and the rings of epoch keys, which programs read while they run. Only
// memory is written, so a mapped map and a plain struct work alike.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "protocol/clock.h"
#include "protocol/keyring.h"

namespace trap {

// The same moment on CLOCK_MONOTONIC_COARSE and on the Unix clock.
trap_clock_anchor read_clocks();

// Fills the anchor that no program reads now, then makes it the active one.
void publish_clock(trap_clock& clock, const trap_clock_anchor& anchor);

// Empties the slots with a key of another secret. Call it once, when a program's ring is taken over
// from an earlier run.
void forget_foreign_keys(trap_keyring& ring,
                         const std::function<trap_key(std::uint64_t epoch)>& derive);

// Makes the ring hold the previous epoch, the present one and the six next. A slot that already
// holds the right key stays untouched; another gets its key first and its epoch last, so that a
// program never takes a half-written key for good.
void rotate_keyring(trap_keyring& ring, std::uint64_t now_epoch,
                    const std::function<trap_key(std::uint64_t epoch)>& derive);

// The epochs that the ring holds, ascending.
std::vector<std::uint64_t> epochs_held(const trap_keyring& ring);

// Unix time at which a ring's keys end: those of the present epoch and of the ones that follow it
// without a gap. 0: it lacks the present one.
std::uint64_t keys_end_unix_ns(const trap_keyring& ring, std::uint64_t unix_ns);

// Less than this is worth a warning: a daemon that runs keeps it above seven hours.
constexpr double keys_scarce_s = 2 * 3600;

// Seconds until keys_end_unix_ns(); 0 if the keys have ended.
double key_seconds_left(const trap_keyring& ring, std::uint64_t unix_ns);

} // namespace trap
