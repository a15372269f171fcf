#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [NAME...]: proves with Frama-C's Eva that no input makes the data plane's headers read out
# of bounds, overflow or otherwise compute something undefined, and the arithmetic of tickets and
# token buckets by trying everything. Exit code 0 if there is no alarm and no difference, 77 if all
# that was asked for is skipped, on a release of Debian that has no Frama-C, such as 13.
# Comparing a pointer beyond a frame with its end is excepted: it is the verifier's form of a bound
# check, and the kernel's address space is flat.
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- packet_view option_walk syn_options icmp arithmetic

# Succeeds where this release has no Frama-C; fails, and says what to do, where it is not installed.
is_without_frama_c() {
  command -v frama-c >/dev/null && return 1
  apt-cache policy frama-c-base 2>/dev/null | grep -q '^ *Candidate: [^(]' || return 0
  echo "run.sh: frama-c is missing; install the package frama-c-base" >&2
  exit 1
}
machine=$(cc -print-multiarch)
log=$(mktemp)
trap 'rm -f "$log" "$log.run"' EXIT
failed=0
tried=0
for name; do
  if [ "$name" = arithmetic ]; then # small enough to try everything
    cc -std=gnu11 -O2 -Wall -Wextra -Werror -I. -o "$log.run" tests/prove/arithmetic.c && "$log.run" || failed=1
    tried=1
    continue
  fi
  if is_without_frama_c; then
    echo "skipped $name: this release of Debian has no frama-c-base"
    continue
  fi
  tried=1
  if ! frama-c -c11 -machdep gcc_x86_64 -eva -eva-precision 5 -eva-split-limit 200 \
    -eva-warn-undefined-pointer-comparison none -main prove \
    -cpp-extra-args="-I. -idirafter /usr/include -idirafter /usr/include/$machine" \
    "tests/prove/$name.c" >"$log" 2>&1; then
    cat "$log"
    failed=1
  elif grep -q '^  0 alarms generated' "$log"; then
    echo "ok $name:$(sed -n 's/.*functions, \(.*\)%.*/ \1%/p' "$log" | head -n 1)"
  else
    echo "not ok $name"
    grep -A 3 '^\[eva:alarm\]' "$log"
    failed=1
  fi
done
[ "$tried" = 1 ] || exit 77
exit $failed
