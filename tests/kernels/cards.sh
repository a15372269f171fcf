#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tries the network cards that qemu emulates on a kernel of Debian's: which take trap-guard's program natively, what the guard says of the
# others, and whether its advice and doctor's work there. Usage: cards.sh [--suite SUITE] [--write] BUILD_DIR (as root: its taps are in a network
# namespace of its own). --write brings the outcome to docs/machines.md. Prints "ok" and "not ok" lines. Exit code 0 only if each is ok.
set -eu

boot_seconds=${TRAP_BOOT_SECONDS:-900}

usage="cards.sh [--suite SUITE] [--write] BUILD_DIR" least=1 most=1 needed=bin/trap-guard
write=
case "$*" in *--write*)
  write=--write
  for word in "$@"; do
    shift
    [ "$word" = --write ] || set -- "$@" "$word"
  done
  ;;
esac
. "$(dirname "$0")/files.sh"
tools="$early_tools ip:iproute2 ethtool:ethtool unshare:util-linux python3:python3"
. "$(dirname "$0")/machine.sh"
[ "$(id -u)" = 0 ] || fail "it makes a network namespace: run it as root"

${CLANG:-clang} -O2 -target bpf -c "$here/pass.bpf.c" -o "$work/pass.o"
cards="python3 -B $here/cards.py"
$cards options >"$work/options" || fail "qemu does not list its devices"
cat >"$work/play" <<END
for module in $($cards modules); do /run/load-module \$module || echo "no module \$module"; done
python3 -B $here/cards.py play $build /run $work/pass.o
END
set --
while read -r option; do set -- "$@" "$option"; done <"$work/options"

boot_prefix="unshare --net" boot_files "$boot_seconds" "$kernels/cards.log" "$@"
grep -q '^done$' "$kernels/cards.log" || fail "the kernel ended before its cards were tried; its console is in $kernels/cards.log"
sed -n '/^kernel /,/^done$/p' "$kernels/cards.log" | grep -v -e '^outcome ' -e '^failures ' || true
$cards table "$kernels" "$suite" $write
