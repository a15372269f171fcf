#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plays scenarios of trap-lab on a kernel of Debian's, which has kinds of interfaces that other kernels lack, in an emulated machine whose
# files are this one's, with whatever is written to them forgotten. Usage: lab.sh [--suite SUITE] BUILD_DIR [SCENARIO...]; without a scenario
# all that need such a machine, by `trap-lab list`.
# TRAP_LAB_CELL is passed on. Prints what trap-lab prints. Exit code 0 only if every check of every scenario is ok.
set -eu

boot_seconds=${TRAP_BOOT_SECONDS:-900}

usage="lab.sh [--suite SUITE] BUILD_DIR [SCENARIO...]" least=1 most=100 needed=bin/trap-lab
. "$(dirname "$0")/files.sh"
tools=$early_tools
. "$(dirname "$0")/machine.sh"
shift
if [ $# = 0 ]; then
  set -- $("$build/bin/trap-lab" list --json |
    python3 -c 'import json, sys; print(*[s["name"] for s in json.load(sys.stdin) if s["class"] == "emulated"])')
  [ $# -gt 0 ] || fail "trap-lab lists no scenario that needs an emulated machine"
fi

[ -z "${TRAP_LAB_CELL:-}" ] || printf '%s' "$TRAP_LAB_CELL" >"$work/cell" # of any words
cat >"$work/play" <<END
export TRAP_LAB_TIMEOUT_SCALE=10
[ ! -e $work/cell ] || export TRAP_LAB_CELL="\$(cat $work/cell)"
mknod /dev/ppp c 108 0
for scenario in $*; do
  if $build/bin/trap-lab run \$scenario; then echo "passed \$scenario"; else echo "failed \$scenario: exit code \$?"; fi
done
END

boot_files "$boot_seconds" "$kernels/lab.log"
sed -n '/^kernel /,/^done$/p' "$kernels/lab.log"
grep -q '^done$' "$kernels/lab.log" || fail "the kernel ended before its scenarios did; its console is in $kernels/lab.log"
for scenario in "$@"; do
  grep -q "^passed $scenario\$" "$kernels/lab.log" || fail "$scenario failed on $release"
done
