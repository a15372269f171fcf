#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD SECONDS: shares the seconds among all fuzz targets, those of build/fuzz under
# libFuzzer and the packet walks of build/dev, with a new seed. Exit code 0 if nothing was found.
set -eu
build=$1 seconds=$2
readers=$(ls "$build"/fuzz/tests/fuzz | sed -n 's/^trap_fuzz_\([a-z_]*\)$/\1/p' | grep -v '_replay$\|^seeds$')
parts="server guard client"
each=$((seconds / $(echo $readers $parts | wc -w)))
[ "$each" -gt 0 ] || each=1
seed=$(date +%s)
failed=0

for reader in $readers; do
  corpus=$build/fuzz/fuzz/corpus/$reader
  "$build/fuzz/tests/fuzz/trap_fuzz_seeds" "$reader" "$corpus" >/dev/null
  mkdir -p "$build/fuzz/found"
  log=$build/fuzz/found/$reader.log
  if "$build/fuzz/tests/fuzz/trap_fuzz_$reader" -max_total_time="$each" -seed="$seed" -max_len=4096 \
    -timeout=10 -artifact_prefix="$build/fuzz/found/$reader-" "$corpus" >"$log" 2>&1; then
    echo "ok $reader: $(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$log")"
  else
    echo "not ok $reader: $log"
    grep -m 3 'ERROR\|runtime error\|Test unit written' "$log" || true
    failed=1
  fi
done
for part in $parts; do
  if log=$("$build/dev/tests/fuzz/walk/trap_fuzz_walk" "$part" --seconds "$each" --seed "$seed"); then
    echo "ok $(echo "$log" | grep judgements)"
  else
    echo "not ok walk of $part"
    echo "$log"
    failed=1
  fi
done
exit $failed
