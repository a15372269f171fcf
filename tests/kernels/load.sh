#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Loads, runs and attaches TRAP's BPF programs on Debian 12's own kernel 6.1, in an emulated machine. Usage: load.sh BUILD_DIR
# Nothing is installed: the kernel package is unpacked into BUILD_DIR/kernels and kept there. Prints "ok NAME ..." or "not ok NAME: why";
# the end of a refused program's verifier log is in BUILD_DIR/kernels/NAME.log. Exit code 0 only if every program is ok.
set -eu

programs="trap_server trap_guard"
for direction in egress ingress; do
  for interface in "" _ip _lan _lan_ip; do
    programs="$programs trap_client_$direction$interface"
  done
done
modules="drivers/net/veth net/sched/sch_ingress net/sched/cls_bpf"
boot_seconds=${TRAP_BOOT_SECONDS:-120}

fail() {
  echo "load.sh: $*" >&2
  exit 2
}

[ $# = 1 ] || fail "usage: load.sh BUILD_DIR"
build=$1
[ -d "$build/bpf" ] || fail "$build/bpf is not there; build TRAP first, then give its build directory"
build=$(cd "$build" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
for tool in qemu-system-x86_64:qemu-system-x86 cpio:cpio ip:iproute2 dpkg-deb:dpkg apt-get:apt ldd:libc-bin; do
  command -v "${tool%:*}" >/dev/null || fail "${tool%:*} is missing; install the package ${tool#*:}"
done
for part in server guard client; do
  [ -f "$build/bpf/trap_$part.bpf.o" ] || fail "$build/bpf/trap_$part.bpf.o is missing; build the target trap_${part}_bpf"
done
kernels=$build/kernels
mkdir -p "$kernels"
work=$(mktemp -d "$kernels/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The newest kernel that apt knows; without apt's lists or a network, the newest one that is already unpacked.
newest_package() {
  apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-6\.1\.0-[0-9]*-amd64\)$/\1/p' | sort -V | tail -n 1
}
newest_unpacked() {
  find "$kernels" -mindepth 1 -maxdepth 1 -type d -name 'linux-image-6.1.0-*-amd64' -printf '%f\n' | sort -V | tail -n 1
}

unpack() {
  (cd "$work" && apt-get -q download "$1") >"$work/apt.log" 2>&1 || return 1
  release=${1#linux-image-}
  set -- "$1" "./boot/vmlinuz-$release"
  for module in $modules; do set -- "$@" "./lib/modules/$release/kernel/$module.ko"; done
  package=$1
  shift
  mkdir "$work/$package"
  dpkg-deb --fsys-tarfile "$work/$package"_*.deb | tar -x -C "$work/$package" "$@" || fail "$package has not the files expected: $*"
  rm -f "$work/$package"_*.deb
  mv "$work/$package" "$kernels/$package"
}

package=$(newest_package)
if [ -z "$package" ] || { [ ! -d "$kernels/$package" ] && ! unpack "$package"; }; then
  package=$(newest_unpacked)
  [ -n "$package" ] || fail "cannot download Debian 12's linux-image-6.1.0-N-amd64; run apt-get update on Debian 12 with a network:" \
    "$(tail -n 1 "$work/apt.log" 2>/dev/null || echo "apt offers none")"
fi
image=$kernels/$package
release=${package#linux-image-}

# A program and the shared libraries it needs, at the same paths.
add_program() {
  install -D "$1" "$work/root$2"
  for library in $(ldd "$1" | grep -o '/[^ ]*'); do
    [ -e "$work/root$library" ] || install -D "$library" "$work/root$library"
  done
}

${CC:-cc} -std=gnu11 -O1 -Wall -Wextra -Werror -o "$work/loader" "$here/loader.c" -lbpf || fail "cannot build the loader; install libbpf-dev"
add_program "$work/loader" /init
add_program "$(command -v ip)" /bin/ip
for part in server guard client; do cp "$build/bpf/trap_$part.bpf.o" "$work/root/"; done
for module in $modules; do cp "$image/lib/modules/$release/kernel/$module.ko" "$work/root/"; done
(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/initramfs"

status=0
timeout "$boot_seconds" qemu-system-x86_64 -accel tcg -cpu max -m 512 -nodefaults -display none -serial stdio -no-reboot \
  -kernel "$image/boot/vmlinuz-$release" -initrd "$work/initramfs" -append "console=ttyS0 loglevel=1 panic=-1" \
  </dev/null >"$work/console" 2>&1 || status=$?
tr -d '\r' <"$work/console" >"$kernels/console.log"
[ "$status" != 124 ] || fail "the machine did not end within $boot_seconds s; its console is in $kernels/console.log"
[ "$status" = 0 ] || fail "qemu failed: $(tail -n 1 "$kernels/console.log")"
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
echo "$package: $passed ok, $failed not ok"
[ "$failed" = 0 ]
