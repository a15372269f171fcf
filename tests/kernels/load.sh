#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Loads, runs and attaches TRAP's BPF programs on a kernel of Debian's, in an emulated machine. Usage: load.sh [--quick] [--suite SUITE]
# BUILD_DIR. --quick: not those that differ from another only in the link layer or in the side of a router, which take as long again.
# Prints "ok NAME ..." or "not ok NAME: why"; the end of a refused program's verifier log is in BUILD_DIR/kernels/NAME.log. Exit code 0 only
# if every program is ok.
set -eu

programs="trap_server trap_server_tc trap_listener trap_inject trap_watch_in trap_watch_out trap_guard trap_guard_ip trap_guard_egress trap_guard_egress_ip"
for direction in egress ingress; do
  for interface in "" _ip _lan _lan_ip; do
    programs="$programs trap_client_$direction$interface"
  done
done
skipped=
if [ "${1:-}" = --quick ]; then
  shift
  skipped="trap_guard_ip trap_guard_egress_ip trap_client_egress_ip trap_client_ingress_ip trap_client_egress_lan trap_client_ingress_lan"
  for name in $skipped; do programs=$(echo " $programs " | sed "s/ $name / /"); done
fi
modules="veth sch_ingress cls_bpf"
boot_seconds=${TRAP_BOOT_SECONDS:-300}

usage="load.sh [--quick] [--suite SUITE] BUILD_DIR" least=1 most=1 needed=bpf
tools="ip:iproute2"
. "$(dirname "$0")/machine.sh"
parts="server listener inject wire_watch guard client"
# It needs bpf_sk_assign_tcp_reqsk(); the daemon asks the kernel for that too.
if is_since 6.9; then
  parts="$parts server_assign"
  programs="$programs trap_server_assign trap_server_take"
fi
for part in $parts; do
  [ -f "$build/bpf/trap_$part.bpf.o" ] || fail "$build/bpf/trap_$part.bpf.o is missing; build the target trap_${part}_bpf"
done

${CC:-cc} -std=gnu11 -O1 -Wall -Wextra -Werror -o "$work/loader" "$here/loader.c" -lbpf || fail "cannot build the loader; install libbpf-dev"
add_program "$work/loader" /init
add_program "$(command -v ip)" /bin/ip
for part in $parts; do cp "$build/bpf/trap_$part.bpf.o" "$work/root/"; done
for module in $modules; do add_module "$module"; done
echo " $skipped " >"$work/root/skipped"

boot "$boot_seconds" "$kernels/console.log" -m 512
grep -aq '^done$' "$kernels/console.log" || fail "the kernel ended before its tests did; its console is in $kernels/console.log"

grep -a '^kernel ' "$kernels/console.log"
grep -aE '^(not )?ok ' "$kernels/console.log" || true
passed=0
failed=0
for program in $programs; do
  rm -f "$kernels/$program.log"
  if grep -aq "^ok $program " "$kernels/console.log"; then
    passed=$((passed + 1))
    continue
  fi
  failed=$((failed + 1))
  awk -v name="$program" '$0 == "log" { text = ""; in_log = 1; next } $0 == "end of log" { in_log = 0; next }
    in_log { text = text $0 "\n"; next } index($0, "not ok " name ":") == 1 { printf "%s", text } /^(not )?ok / { text = "" }' \
    "$kernels/console.log" >"$kernels/$program.log"
  [ -s "$kernels/$program.log" ] || rm -f "$kernels/$program.log"
done
echo "$suite, $package: $passed ok, $failed not ok"
[ "$failed" = 0 ]
