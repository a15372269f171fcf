#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Boots systemd twice with trap-guard at a bridge that the network makes after the guard's first start, without and with the drop-in
# trap-guard-closed.conf, while an uninvited host tries to connect: it gets through without, and never with. The machine's files are this
# one's, systemd too. Usage: late.sh [--suite SUITE] BUILD_DIR. Prints "ok" and "not ok" lines. Exit code 0 only if each is ok.
set -eu

boot_seconds=${TRAP_BOOT_SECONDS:-900} # each

usage="late.sh [--suite SUITE] BUILD_DIR" least=1 most=1 needed=bin/trap-guard
. "$(dirname "$0")/files.sh"
tools="$early_tools ip:iproute2 nft:nftables curl:curl systemctl:systemd python3:python3"
. "$(dirname "$0")/machine.sh"

# late_boot NAME DROP_IN: DROP_IN is a file, or empty.
late_boot() {
  cat >"$work/play" <<END
drop_in=$2 build=$build here=$here
. $here/late-machine.sh
exec /lib/systemd/systemd --unit=late.target
END
  rm -rf "$work/root"
  boot_files "$boot_seconds" "$kernels/late-$1.log"
  grep -q '^done$' "$kernels/late-$1.log" || fail "the machine ended early; its console is in $kernels/late-$1.log"
  sed -n '/^kernel /,/^done$/p' "$kernels/late-$1.log" | grep -E '^(kernel|ok|not ok|opened|  ) ' || true
}

late_boot closed "$build/packaging/trap-guard-closed.conf"
late_boot open ""
opened() { sed -n 's/^opened \([0-9]*\) of .*/\1/p' "$kernels/late-$1.log"; }
failed=$(cat "$kernels/late-open.log" "$kernels/late-closed.log" | grep -c '^not ok ') || true
[ "$(opened open)" -gt 0 ] || { echo "not ok without the drop-in nothing got through: the trial proves nothing" && failed=1; }
[ "$(opened closed)" = 0 ] || { echo "not ok with the drop-in $(opened closed) tries got through" && failed=1; }
[ "$failed" = 0 ]
