# SPDX-License-Identifier: Apache-2.0
# For the scripts beside it: Debian 12's own kernel 6.1 in an emulated machine. Nothing is installed: the kernel package is unpacked into
# BUILD_DIR/kernels and kept there. The script's first argument is BUILD_DIR. Set before: `usage`, `least` and `most` (how many arguments),
# `needed` (what of BUILD_DIR), `tools` ("program:package ..."). Afterwards: `build`, `here` (the folder of the scripts), `kernels`, `work`
# (goes with the script), `image` (the unpacked package), `release`.

fail() {
  echo "${0##*/}: $*" >&2
  exit 2
}

if [ $# -lt "$least" ] || [ $# -gt "$most" ]; then
  echo "usage: $usage" >&2
  exit 2
fi
[ -e "$1/$needed" ] || fail "$1/$needed is not there; build TRAP first, then give its build directory"
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)

PATH=$PATH:/usr/sbin:/sbin
for tool in $tools qemu-system-x86_64:qemu-system-x86 cpio:cpio dpkg-deb:dpkg apt-get:apt ldd:libc-bin; do
  command -v "${tool%:*}" >/dev/null || fail "${tool%:*} is missing; install the package ${tool#*:}"
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

# The kernel, and the modules for networks and for what emulated machines have.
unpack() {
  (cd "$work" && apt-get -q download "$1") >"$work/apt.log" 2>&1 || return 1
  tree=./lib/modules/${1#linux-image-}
  mkdir "$work/$1"
  dpkg-deb --fsys-tarfile "$work/$1"_*.deb | tar -x -C "$work/$1" "./boot/vmlinuz-${1#linux-image-}" "$tree/modules.order" \
    "$tree/modules.builtin" "$tree/modules.builtin.modinfo" "$tree/kernel/arch" "$tree/kernel/crypto" "$tree/kernel/drivers/net/ppp" "$tree/kernel/drivers/net/slip" \
    "$tree/kernel/drivers/net/tun.ko" "$tree/kernel/drivers/net/veth.ko" "$tree/kernel/drivers/net/wireguard" \
    "$tree/kernel/drivers/virtio" "$tree/kernel/fs" "$tree/kernel/lib" "$tree/kernel/net" ||
    fail "$1 has not the files expected"
  rm -f "$work/$1"_*.deb
  depmod -b "$work/$1" "${1#linux-image-}" || fail "depmod finds fault with the modules of $1"
  mv "$work/$1" "$kernels/$1"
}

package=$(newest_package)
if [ -z "$package" ] || { [ ! -e "$kernels/$package/lib/modules/${package#linux-image-}/modules.dep" ] && ! unpack "$package"; }; then
  package=$(newest_unpacked)
  [ -n "$package" ] || fail "cannot download Debian 12's linux-image-6.1.0-N-amd64; run apt-get update on Debian 12 with a network:" \
    "$(tail -n 1 "$work/apt.log" 2>/dev/null || echo "apt offers none")"
fi
image=$kernels/$package
release=${package#linux-image-}

# A program and the shared libraries it needs, for $work/root: at the same paths, the program at $2.
add_program() {
  install -D "$1" "$work/root$2"
  for library in $(ldd "$1" | grep -o '/[^ ]*'); do
    [ -e "$work/root$library" ] || install -D "$library" "$work/root$library"
  done
}

# A module, and those it needs before it, in order: their files go to $work/root, their names to $work/root/modules.
add_module() {
  for path in $(modprobe -d "$image" -S "$release" --show-depends "$1" | sed -n 's/^insmod \([^ ]*\).*/\1/p'); do
    module=${path##*/}
    [ -e "$work/root/$module" ] && continue
    cp "$path" "$work/root/$module"
    echo "$module" >>"$work/root/modules"
  done
}

# Boots $work/root until it ends, for at most $1 seconds; further arguments go to qemu. The console is left in $2.
boot() {
  seconds=$1 console=$2
  shift 2
  (cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/initramfs"
  status=0
  timeout "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -nodefaults -display none -serial stdio -no-reboot \
    -kernel "$image/boot/vmlinuz-$release" -initrd "$work/initramfs" -append "console=ttyS0 loglevel=1 panic=-1 no_timer_check" "$@" \
    </dev/null >"$work/console" 2>&1 || status=$?
  tr -d '\r' <"$work/console" >"$console"
  [ "$status" != 124 ] || fail "the machine did not end within $seconds s; its console is in $console"
  [ "$status" = 0 ] || fail "qemu failed: $(tail -n 1 "$console")"
}
