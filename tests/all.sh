#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every test of build/dev, and those of build/asan, whose build fills the time in which labs wait:
# it runs beside them at the lowest priority, and its outcome follows theirs.
set -u
cd "$(dirname "$0")/.."
log=build/.test-asan.log

nice -n 19 make --no-print-directory test-asan BPF_FROM="$PWD/build/dev/bpf" >"$log" 2>&1 &
sanitizers=$!
trap 'kill "$sanitizers" 2>/dev/null; exit 1' INT TERM

ctest --preset dev
tests=$?

echo "the unit tests under sanitizers (built and run meanwhile):"
if wait "$sanitizers"; then
  tail -n 4 "$log"
  exit "$tests"
fi
cat "$log"
exit 1
