#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [--all] [DIRECTORY]: explores every state of handshake.pml with Spin, and sees that it finds
# each fault that it can put back. --all: also with three losses and two doubles, and the faults
# that are found late, which takes minutes. Exit code 0 if all of that holds.
set -eu
all=false
if [ "${1:-}" = --all ]; then
  all=true
  shift
fi
model=$(cd "$(dirname "$0")" && pwd)/handshake.pml
work=${1:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"
failed=0

# explore NAME WANTED_ERRORS OPTION...: one exploration with these definitions.
explore() {
  name=$1 wanted=$2
  shift 2
  spin -a "$@" "$model" >spin.log || { cat spin.log; exit 1; }
  cc -O2 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM=4096 -o pan pan.c
  ./pan -m400000 -w25 >pan.log
  errors=$(sed -n 's/.*errors: \([0-9]*\)$/\1/p' pan.log)
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored$/\1/p' pan.log)
  if grep -q 'error: max search depth too small\|memory limit\|out of memory' pan.log; then errors=incomplete; fi
  if [ "${errors:-none}" = "$wanted" ]; then
    echo "ok $name: $states states, errors $errors"
  else
    echo "not ok $name: errors ${errors:-none}, wanted $wanted"
    grep 'assertion violated' pan.log || true
    if [ -f handshake.pml.trail ]; then spin -t -k handshake.pml.trail -p -g "$@" "$model" | tail -n 60; fi
    failed=1
  fi
  rm -f handshake.pml.trail
}

explore "every connect ends as it should, one loss and one double" 0
if $all; then
  explore "nothing is reset or misled, three losses and two doubles" 0 -DLOSSES=3 -DDOUBLES=2
fi
# Those of the second line are found after a million states.
faults="LATE_REDIRECT SECOND_COOKIE LATE_OFFER"
if $all; then faults="$faults NO_WAY_OUT SWALLOWED_RESET DEAD_END"; fi
for fault in $faults; do
  explore "finds $fault" 1 "-DFAULT_$fault"
done
exit $failed
