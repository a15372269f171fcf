# SPDX-License-Identifier: Apache-2.0
# For the scripts beside it: the kernel of a suite of Debian in an emulated machine, 6.1 of bookworm (Debian 12) unless `--suite SUITE` comes
# first. Nothing is installed: the kernel's packages are unpacked into BUILD_DIR/kernels and kept there. The script's next argument is BUILD_DIR.
# Set before: `usage`, `least` and `most` (how many arguments), `needed` (what of BUILD_DIR), `tools` ("program:package ..."). Afterwards:
# `suite`, `build`, `here` (the folder of the scripts), `kernels`, `work` (goes with the script), `image` (the unpacked packages), `release`.

fail() {
  echo "${0##*/}: $*" >&2
  exit 2
}

suite=bookworm
if [ "${1:-}" = --suite ] && [ $# -gt 1 ]; then
  suite=$2
  shift 2
fi
case "${1:-}" in -*) set -- ;; esac # an option that nobody knows
if [ $# -lt "$least" ] || [ $# -gt "$most" ]; then
  echo "usage: $usage" >&2
  exit 2
fi
[ -e "$1/$needed" ] || fail "$1/$needed is not there; build TRAP first, then give its build directory"
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../scripts/chroot.sh"

PATH=$PATH:/usr/sbin:/sbin
for tool in $tools qemu-system-x86_64:qemu-system-x86 cpio:cpio dpkg-deb:dpkg xz:xz-utils apt-get:apt ldd:libc-bin; do
  command -v "${tool%:*}" >/dev/null || fail "${tool%:*} is missing; install the package ${tool#*:}"
done
kernels=$build/kernels
work=$(mkdir -p "$kernels" 2>/dev/null && mktemp -d "$kernels/work.XXXXXX" 2>/dev/null) ||
  fail "cannot write to $kernels: run it as root, or as the user who built TRAP"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# apt with lists of its own of the one suite that is asked for, from the mirror that this machine's sources name first.
apt_of_suite() {
  command=$1
  shift
  "$command" -q -o Dir::Etc::sourcelist="$lists/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$lists/lists" -o Dir::Cache="$lists" \
    -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
update_lists() {
  mirror=$(debian_mirror 2>/dev/null) || return 1
  security=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | awk '$1 ~ /-security$/ { print $2; exit }')
  mkdir -p "$lists/lists/partial" "$lists/archives/partial"
  echo "deb $mirror $suite main" >"$lists/sources.list"
  case "$suite" in
  sid | *-backports) ;; # have no security updates of their own
  *) [ -z "$security" ] || echo "deb $security $suite-security main" >>"$lists/sources.list" ;;
  esac
  apt_of_suite apt-get update >"$work/apt.log" 2>&1
}
dependencies() {
  apt_of_suite apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: \(linux-[^ ]*\)$/\1/p'
}

# The kernel, and the modules for networks and for what emulated machines have. Newer suites have the kernel and its modules in packages
# of their own, which the image depends on, and everything below /usr.
cards='ethernet/(8390|amd|dec|intel/(e100|e1000|e1000e|igb)|realtek)|mdio|phy|mii|net_failover|vmxnet3'
kinds="arch|crypto|drivers/(dca|i2c|leds|pps|ptp|virtio)|drivers/net/($cards|bonding|dummy|geneve|ipvlan|macsec|macvlan|ppp|slip|tun|veth|virtio_net|vrf|vxlan|wireguard)|fs|lib|net"
unpack() {
  unpacked=$work/image
  mkdir -p "$unpacked"
  for part in "$1" $(dependencies "$1" | grep -Fx -e "linux-binary-$release" -e "linux-modules-$release"); do
    (cd "$work" && apt_of_suite apt-get download "$part") >"$work/apt.log" 2>&1 || return 1
    dpkg-deb --fsys-tarfile "$work/$part"_*.deb >"$work/files.tar"
    tar -t -f "$work/files.tar" | grep -E "/vmlinuz|/modules\.(order|builtin)|/kernel/($kinds)(\.ko|/)" | grep -v '/$' >"$work/files" || true
    tar -x -f "$work/files.tar" -C "$unpacked" -T "$work/files"
    rm -f "$work/$part"_*.deb "$work/files.tar"
  done
  [ ! -d "$unpacked/usr/lib" ] || mv "$unpacked/usr/lib" "$unpacked/lib"
  mv "$unpacked/boot/vmlinuz-$release" "$unpacked/vmlinuz" 2>/dev/null || mv "$unpacked/lib/modules/$release/vmlinuz" "$unpacked/vmlinuz" ||
    fail "$1 has no kernel"
  depmod -b "$unpacked" "$release" || fail "depmod finds fault with the modules of $1"
  echo "$kinds" >"$unpacked/kinds"
  rm -rf "${kernels:?}/$1"
  mv "$unpacked" "$kernels/$1"
  ln -sfn "$1" "$kernels/newest-$suite"
}

# The newest kernel that the suite offers; without a network, the one that was unpacked last.
lists=$kernels/apt-$suite
package=
update_lists && package=$(dependencies linux-image-amd64 | grep -E '^linux-image-[0-9].*-amd64$' | sort -V | tail -n 1)
release=${package#linux-image-}
if [ -z "$package" ] || { [ "$(cat "$kernels/$package/kinds" 2>/dev/null)" != "$kinds" ] && ! unpack "$package"; }; then
  package=$(readlink "$kernels/newest-$suite") || fail "cannot download the kernel of Debian's $suite; its mirror must be reachable:" \
    "$(tail -n 1 "$work/apt.log" 2>/dev/null || echo "apt offers none")"
  release=${package#linux-image-}
fi
image=$kernels/$package

# Whether the kernel is at least of this version, such as 6.9.
is_since() {
  [ "$(printf '%s\n%s\n' "$1" "${release%%[-+]*}" | sort -V | head -n 1)" = "$1" ]
}

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
    [ -e "$work/root/${module%.xz}" ] && continue
    case "$module" in
    *.xz) module=${module%.xz} && xz -dc "$path" >"$work/root/$module" ;;
    *) cp "$path" "$work/root/$module" ;;
    esac
    echo "$module" >>"$work/root/modules"
  done
}

# Boots $work/root until it ends, for at most $1 seconds; further arguments go to qemu, which $boot_prefix starts. The console is left in $2.
boot() {
  seconds=$1 console=$2
  shift 2
  (cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/initramfs"
  status=0
  timeout "$seconds" ${boot_prefix:-} qemu-system-x86_64 -accel tcg,thread=multi -cpu max -nodefaults -display none -serial stdio -no-reboot \
    -kernel "$image/vmlinuz" -initrd "$work/initramfs" -append "console=ttyS0 loglevel=1 panic=-1 no_timer_check" "$@" \
    </dev/null >"$work/console" 2>&1 || status=$?
  tr -d '\r' <"$work/console" >"$console"
  [ "$status" != 124 ] ||
    fail "the machine did not end within $seconds s (TRAP_BOOT_SECONDS sets more, for a busy host); its console is in $console"
  [ "$status" = 0 ] || fail "qemu failed: $(tail -n 1 "$console")"
}
